"""One version of a model that answers requests: a bounded queue in front of a worker that is replaced when it is lost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from edged import journal
from edged.bundle.manifest import Variant
from edged.bundle.read import InstalledBundle
from edged.errors import BackendError, DeadlineError, EdgedError, UnavailableError
from edged.runtime.tensors import InferResult, Tensor

LOG = logging.getLogger(__name__)

# The first replacement is immediate: one bad request costs one worker. A model that cannot stay up is retried ever more slowly.
_RESTART_WAITS_S: Final = (0.0, 1.0, 5.0, 30.0)


class Worker(Protocol):
    """A process that runs one variant, one request at a time."""

    @property
    def pid(self) -> int:
        """The process, as seen from here."""
        ...

    @property
    def is_usable(self) -> bool:
        """False from the moment the process is gone or was told to go."""
        ...

    @property
    def lost(self) -> asyncio.Event:
        """Set when the process is gone, whatever ended it."""
        ...

    async def infer(self, inputs: Sequence[Tensor], outputs: Sequence[str] = (), *, timeout_s: float) -> InferResult:
        """Run one request; the process is killed when the time is over before it answered."""
        ...

    async def close(self) -> None:
        """End the process and wait for it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Loadable:
    """What a worker is started from: one variant of one bundle of the store."""

    bundle: InstalledBundle
    variant: Variant


StartWorker = Callable[[Loadable], Awaitable[Worker]]


class Served:
    """One loaded variant with its worker.

    Args:
        loadable: What is served.
        worker: Its first worker, already loaded. Owned from here on.
        start_worker: Makes the next one.
        max_waiting: Requests that may wait for their turn; one more is refused.
        run_limit_s: A worker that has not answered after this long is killed and replaced.
    """

    def __init__(
        self, loadable: Loadable, worker: Worker, *, start_worker: StartWorker, max_waiting: int, run_limit_s: float
    ) -> None:
        self.loadable = loadable
        self.restarts = 0
        self.requests = 0
        self.failures = 0
        self._worker: Worker | None = worker
        self._start_worker = start_worker
        self._max_waiting = max_waiting
        self._run_limit_s = run_limit_s
        self._start_error = ""
        self._next_start = asyncio.Event()
        self._turn = asyncio.Lock()
        self._exchanges: set[asyncio.Task[InferResult]] = set()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def worker_pid(self) -> int | None:
        """The process that answers now, or None while it is being replaced."""
        return self._worker.pid if self._worker is not None and self._worker.is_usable else None

    async def infer(self, inputs: Sequence[Tensor], outputs: Sequence[str] = (), *, timeout_s: float) -> InferResult:
        """Run one request in its turn.

        Args:
            inputs: Checked against the manifest by the caller.
            outputs: Names wanted; empty means all.
            timeout_s: Seconds from now; covers waiting and running.

        Raises:
            UnavailableError: The worker is being replaced, or too many requests wait already.
            DeadlineError: The time is over; nothing was run if it ended while waiting.
            BackendError: As ``Worker.infer``.
        """
        if self._under_way > self._max_waiting:
            raise UnavailableError(
                f"{self._max_waiting} requests are waiting for this model already",
                hint="Send fewer requests at once, or wait for Retry-After.",
                limit="serve.max_queued",
            )
        self.requests += 1
        self._under_way += 1
        self._idle.clear()
        try:
            return await self._infer_in_turn(inputs, outputs, timeout_s=timeout_s)
        except BackendError:
            self.failures += 1
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _infer_in_turn(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], *, timeout_s: float
    ) -> InferResult:
        # The queue is here and not in the worker: what waits outlives a worker that is lost.
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline_s):
                return await asyncio.shield(await self._begin(inputs, outputs))
        except TimeoutError as exc:
            raise DeadlineError(f"not finished within {timeout_s:g} s", hint="Ask less often, or allow more.") from exc

    async def _begin(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> asyncio.Task[InferResult]:
        """Wait for a turn and begin the request.

        The turn ends with the exchange, not with the caller: one who leaves early frees nobody's worker, and whoever
        began behind a request that is then killed would be killed with it.
        """
        await self._turn.acquire()
        try:
            worker = await self._usable_worker()
        except BaseException:
            self._turn.release()
            raise
        # A caller's deadline ends its wait, not the worker: an impatient caller must not cost the others theirs.
        exchange = asyncio.get_running_loop().create_task(
            worker.infer(inputs, outputs, timeout_s=self._run_limit_s), name="exchange"
        )
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._ended)
        return exchange

    def _ended(self, exchange: asyncio.Task[InferResult]) -> None:
        self._exchanges.discard(exchange)
        self._turn.release()
        if not exchange.cancelled():
            exchange.exception()  # seen: its caller may have left

    async def _usable_worker(self) -> Worker:
        while self._worker is None or not self._worker.is_usable:
            if self._start_error:
                raise UnavailableError(f"the model's worker does not start: {self._start_error}", retry_after_s=5)
            await self._next_start.wait()
        return self._worker

    async def keep_running(self) -> None:
        """Replace the worker whenever it is lost, until cancelled; then end it."""
        loop = asyncio.get_running_loop()
        losses = 0
        try:
            while True:
                if self._worker is None:
                    await asyncio.sleep(_RESTART_WAITS_S[min(losses, len(_RESTART_WAITS_S) - 1)])
                    await self._start()
                if self._worker is None:
                    losses += 1
                    continue
                started_s = loop.time()
                await self._worker.lost.wait()
                losses = 0 if loop.time() - started_s > _RESTART_WAITS_S[-1] else losses + 1
                self._worker = None
                self.restarts += 1
                manifest = self.loadable.bundle.manifest
                journal.event(LOG, journal.WORKER_LOST, model=manifest.name, version=manifest.version)
        finally:
            if self._worker is not None:
                await self._worker.close()

    async def _start(self) -> None:
        try:
            self._worker = await self._start_worker(self.loadable)
            self._start_error = ""
        except Exception as exc:
            self._start_error = str(exc) or type(exc).__name__
            LOG.warning(
                "Worker did not start: %s", self._start_error, exc_info=not isinstance(exc, EdgedError | OSError)
            )
        # Whoever waits for a start waits for this one; the next one has an event of its own.
        this_start, self._next_start = self._next_start, asyncio.Event()
        this_start.set()

    async def close(self) -> None:
        """End the worker of a model that never came to be served."""
        if self._worker is not None:
            await self._worker.close()

    async def drain(self, *, timeout_s: float) -> None:
        """Wait until no request is under way, but no longer than ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            LOG.warning("%d requests were still under way after %.1f s", self._under_way, timeout_s)
