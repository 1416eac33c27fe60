"""Keeps a worker of one variant running: it is replaced whenever it is lost, at once at first and then ever more slowly."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from edged import journal
from edged.bundle.manifest import Variant
from edged.bundle.read import InstalledBundle
from edged.errors import EdgedError
from edged.host.lender import Lender
from edged.runtime.calls import Outcome, Request
from edged.runtime.memory import SharedMemory
from edged.runtime.tensors import InferResult, Tensor
from edged.telemetry.serving import ServingStats

LOG = logging.getLogger(__name__)

# The first replacement is immediate: one bad request costs one worker. A model that cannot stay up is retried ever more slowly.
RESTART_WAITS_S: Final = (0.0, 1.0, 5.0, 30.0)

Ended = Callable[[Sequence[Outcome]], None]
"""Takes the outcome of each request of a run, in order."""


class Worker(Protocol):
    """A process that runs one variant, several runs at a time."""

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

    @property
    def ended_with_template(self) -> bool:
        """True when the process is gone because the one that all workers come from is: no fault of the model."""
        ...

    @property
    def lender(self) -> Lender:
        """The connections of the tensor socket that it has."""
        ...

    @property
    def unconfined(self) -> Sequence[str]:
        """Why parts of its sandbox are missing on this machine; empty when it is whole."""
        ...

    def run(self, requests: Sequence[Request], ended: Ended, *, rank: int = 0) -> int:
        """Run requests together.

        Args:
            requests: At least one.
            ended: Called exactly once, on the event loop and not before this returns; no longer uses their memory then. With
                ``WorkerLostError`` for each request when the process ended for a reason of its own, or had ended before.
            rank: Among runs that wait for the same core, the smallest goes first.

        Returns:
            A number to stop it by.
        """
        ...

    def stop(self, run: int) -> None:
        """Tell a run to stop; the process is killed if it goes on for too long. ``ended`` is called as ever."""
        ...

    async def infer(
        self, inputs: Sequence[Tensor], outputs: Sequence[str] = (), *, timeout_s: float, scale: float = 1.0
    ) -> InferResult:
        """Run one request by itself, and wait for the answer."""
        ...

    def end_if_stuck(self) -> None:
        """End the process if a request on a connection that it has goes on for too long after its deadline."""
        ...

    async def close(self) -> None:
        """End the process and wait for it; runs under way end with ``WorkerLostError``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Loadable:
    """What a worker is started from: one variant of one bundle of the store."""

    bundle: InstalledBundle
    variant: Variant


StartWorker = Callable[[Loadable, SharedMemory | None], Awaitable[Worker]]
"""Makes a worker, with the memory that it shares with the others of its model; with None it gets some of its own."""


class Keeper:
    """The worker that answers now, and those that follow it.

    Args:
        loadable: What they run; for the journal.
        worker: The first one, already loaded. Owned from here on. None: it comes with ``employ``.
        start_worker: Makes the next one.
        stats: Told of each loss.
        started: Called when there is a new one.
        failed: Called with the reason when there could not be a new one; the next try follows by itself.
    """

    def __init__(
        self,
        loadable: Loadable,
        worker: Worker | None,
        *,
        start_worker: Callable[[], Awaitable[Worker]],
        stats: ServingStats,
        started: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self.restarts = 0
        """Workers that were lost; tells them apart, too."""
        self.error = ""
        """Why the last start failed; empty once one succeeded."""
        self._manifest = loadable.bundle.manifest
        self._worker = worker
        self._is_employed = asyncio.Event()
        if worker is not None:
            self._is_employed.set()
        self._start_worker = start_worker
        self._stats = stats
        self._started = started
        self._failed = failed

    @property
    def worker(self) -> Worker | None:
        """The worker that takes runs now; None while it is being replaced."""
        return self._worker if self._worker is not None and self._worker.is_usable else None

    def employ(self, worker: Worker) -> None:
        """Take the first worker where there was none yet."""
        self._worker = worker
        self._is_employed.set()
        self._started()

    async def run(self) -> None:
        """Replace the worker whenever it is lost, until cancelled."""
        loop = asyncio.get_running_loop()
        in_a_row = 0
        await self._is_employed.wait()
        while True:
            if (worker := self._worker) is not None:
                started_s = loop.time()
                await worker.lost.wait()
                if loop.time() - started_s > RESTART_WAITS_S[-1]:
                    in_a_row = 0
                self._note_loss(worker)
                await worker.close()
            await asyncio.sleep(RESTART_WAITS_S[min(in_a_row, len(RESTART_WAITS_S) - 1)])
            in_a_row += 1
            await self._start()

    def _note_loss(self, worker: Worker) -> None:
        self._worker = None
        self.restarts += 1
        self._stats.restarted(with_all=worker.ended_with_template)
        journal.event(LOG, journal.WORKER_LOST, model=self._manifest.name, version=self._manifest.version)

    async def _start(self) -> None:
        try:
            self._worker = await self._start_worker()
        except Exception as exc:
            self.error = str(exc) or type(exc).__name__
            LOG.warning("Worker did not start: %s", self.error, exc_info=not isinstance(exc, EdgedError | OSError))
            self._failed(self.error)
        else:
            self.error = ""
            self._started()

    async def close(self) -> None:
        """End the worker; nothing may be running ``run`` any more."""
        if self._worker is not None:
            await self._worker.close()
