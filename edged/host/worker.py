"""A running worker as the daemon sees it.

A run ends exactly once, and only when the worker can no longer touch the memory of its requests: with its answers, or when the process
is gone. So a worker that is told to go, or that says what no worker says, keeps its runs until the kernel has reported its end. What it
had answered before that is still delivered, unless it broke the protocol.
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from edged.errors import BackendError, DeadlineError, EdgedError, ModelLoadError, WorkerLostError
from edged.host.channel import Channel
from edged.host.lender import Lender
from edged.host.patience import patience
from edged.host.process import Child
from edged.host.remote import error_of, printable
from edged.host.under_way import Ended, UnderWay
from edged.runtime.calls import Outcome, Request
from edged.runtime.memory import SharedMemory
from edged.runtime.requests import Signature
from edged.runtime.tensors import InferResult, Tensor
from edged.runtime.wire import FROM_CONTROL, Load, LoadFailed, Stop, Unmap, WireError, WorkerSpec, decode, encode

END_TIMEOUT_S: Final = 5.0
"""For a process that was killed to be gone."""
LINGER_S: Final = 1.0
"""For a process that closed its channels to end by itself, so that its exit status tells why."""
MAX_FAULT: Final = 300
"""Characters of a worker's own words in an error."""


class Worker:
    """One process with one loaded model; made by ``Template.start_worker``, closed by whoever started it.

    Args:
        spec: What it runs.
        control: The daemon's end of its control channel. This, ``runs`` and ``loans`` do not block, and are closed with the process.
        runs: The daemon's end of its runs channel.
        loans: The daemon's end of its channel for connections of the tensor socket.
        child: The process.
        memory: Shared with the workers of the same model.
        owns_memory: Nobody else uses it; it goes with the process.
        stop_within_s: How long a run may go on after it was told to stop, before the process is ended.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        *,
        control: socket.socket,
        runs: socket.socket,
        loans: socket.socket,
        child: Child,
        memory: SharedMemory,
        owns_memory: bool = False,
        stop_within_s: float,
    ) -> None:
        self.spec: Final = spec
        self.load_s = 0.0
        """Seconds from the first message to the loaded model."""
        self.runtime = ""
        """Name and version of what executes the model."""
        self.unconfined: Sequence[str] = ()
        """Why parts of its sandbox are missing on this machine; empty when it is whole."""
        self._signature = Signature(spec)
        self._memory = memory
        self._owns_memory = owns_memory
        self._stop_within_s = stop_within_s
        self._loop = asyncio.get_running_loop()
        self._child = child
        self._is_over = False
        self._fault = ""
        """What it did that made us end it."""
        self._loaded: asyncio.Future[None] = self._loop.create_future()
        self._control = Channel(control, received=self._told, broken=self._note_broken)
        self._runs = UnderWay(spec.pipeline.outputs, runs, memory, broken=self._note_broken)
        self.lender: Final = Lender(loans, broken=self._note_broken)
        """The connections of the tensor socket that it has."""
        self._stop_listening = memory.on_drop(self._forget)
        child.on_end(self._note_end)

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    @property
    def pid(self) -> int:
        """Its process identifier."""
        return self._child.pid

    @property
    def is_usable(self) -> bool:
        """False from the moment the process is gone or was told to go."""
        return not self._is_over

    @property
    def ended_with_template(self) -> bool:
        """True when the process is gone because the one that all workers come from is: no fault of the model."""
        return self.lost.is_set() and self._child.status is None

    @property
    def lost(self) -> asyncio.Event:
        """Set when the process is gone, for whatever reason; every run has ended then, and every later one fails."""
        return self._child.ended

    async def load(self) -> None:
        """Have it load its model; called once, before anything else.

        Raises:
            EdgedError: What the worker reports; see ``Template.start_worker``.
            ModelLoadError: The process ended.
        """
        try:
            self._control.send(encode(Load(spec=self.spec)))
        except WireError as exc:
            raise ModelLoadError(f"{self.spec.name}: its manifest says too much about it: {exc}") from exc
        await self._loaded

    def run(self, requests: Sequence[Request], ended: Ended, *, rank: int = 0) -> int:
        """Send a run at once.

        Args:
            requests: Of the same kind, and no more than ``MAX_BATCH``; checked by the caller. Their memory stays as it is until
                ``ended`` is called.
            ended: Told how it ended, never from within this call. Outputs are bytes of their own. What does not concern a single
                request concerns all: ``UnavailableError`` when there is no memory for what has to be sent, ``WorkerLostError`` when the
                process ended, whose facts say how (``signal`` or ``exit_status``), ``BackendError`` when it ended because the template
                did.
            rank: Among runs that wait for the same core, the smallest goes first.

        Returns:
            Its number, for ``stop``.
        """
        if self._is_over:
            return self._runs.refuse(len(requests), ended, self._lost_error)
        return self._runs.begin(requests, ended, rank=rank)

    def stop(self, run: int) -> None:
        """Stop a run; it ends soon. Does nothing for one that has ended."""
        if self._runs.expect_end(run, self._stop_within_s, self._note_ignored_stop):
            self._control.send(encode(Stop(run=run)))

    async def infer(
        self, inputs: Sequence[Tensor], outputs: Sequence[str] = (), *, timeout_s: float, scale: float = 1.0
    ) -> InferResult:
        """Run one request and wait for its answer. A caller that is cancelled stops the run.

        Args:
            inputs: All of the pipeline's inputs, or all of the model's own.
            outputs: Names wanted; empty means all of the pipeline's.
            timeout_s: Seconds from now until the answer is worth nothing.
            scale: Share of the full size at which the pipeline is done.

        Raises:
            TensorError: The pipeline or the model does not take these tensors.
            DeadlineError: Time passed; the run was told to stop.
            WorkerLostError: The worker ended, before or during this request.
            BundleError: The pipeline does not fit what the model gives.
            BackendError: The runtime failed; the worker goes on.
        """
        self._signature.check(inputs, outputs)
        late = DeadlineError(f"{self.spec.name}: no answer within {timeout_s:g} s", hint="Allow more time.")
        if timeout_s <= 0:
            raise late
        future: asyncio.Future[Outcome] = self._loop.create_future()

        def ended(outcomes: Sequence[Outcome]) -> None:
            if not future.done():
                future.set_result(outcomes[0])

        request = Request(inputs=inputs, outputs=outputs, deadline_s=self._loop.time() + timeout_s, scale=scale)
        run = self.run([request], ended)
        try:
            async with patience(timeout_s):
                outcome = await future
        except TimeoutError as exc:
            raise late from exc
        finally:
            self.stop(run)
        if isinstance(outcome, EdgedError):
            raise outcome
        return outcome

    def end_if_stuck(self) -> None:
        """End the process if a request on a connection that it has goes on for too long after its deadline."""
        if not self._is_over and self.lender.is_stuck(grace_s=self._stop_within_s):
            self._end_for(f"a request went on for {self._stop_within_s:g} s after its deadline")

    def kill(self) -> None:
        """End the process at once; runs under way end with ``WorkerLostError`` when it is gone."""
        self._is_over = True
        self._child.kill()

    async def close(self) -> None:
        """End the process and wait until it is gone. Runs under way are lost: drain first."""
        self.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_TIMEOUT_S):
                await self.lost.wait()

    def _told(self, datagram: memoryview) -> None:
        message, rest = decode(FROM_CONTROL, datagram)
        if rest or self._loaded.done():
            raise WireError("more than one message about the model")
        if isinstance(message, LoadFailed):
            self._loaded.set_exception(error_of(message))
            return
        self.load_s, self.runtime = message.load_s, printable(message.runtime)
        self.unconfined = tuple(map(printable, message.unconfined))
        self._loaded.set_result(None)

    def _forget(self, segment: int) -> None:
        if self._runs.forget(segment):
            self._control.send(encode(Unmap(segment=segment)))

    def _note_ignored_stop(self) -> None:
        self._end_for(f"a run went on for {self._stop_within_s:g} s after it was told to stop")

    def _note_broken(self, error: WireError | None) -> None:
        self._is_over = True
        if error is not None:
            self._end_for(f"it said what no worker says: {error}")
        elif not self.lost.is_set():
            self._loop.call_later(LINGER_S, self._child.kill)

    def _end_for(self, fault: str) -> None:
        self._fault = self._fault or printable(fault)[:MAX_FAULT]
        self.kill()

    def _note_end(self) -> None:
        self._is_over = True
        self._control.drain()
        self._runs.drain()
        self.lender.drain()
        self._control.close()
        self._stop_listening()
        if not self._loaded.done():
            self._loaded.set_exception(self._load_error())
            self._loaded.exception()  # seen: whoever waited for it may have left
        self._runs.end_all(self._lost_error)
        self.lender.end_all(self._lost_error)
        if self._owns_memory:
            self._memory.trim()

    def _lost_error(self) -> EdgedError:
        if self.ended_with_template:
            return BackendError(f"{self.spec.name}: the runtime's process ended, and its workers with it")
        return WorkerLostError(
            f"{self.spec.name}: the worker has ended ({self._ending()})",
            hint="It is replaced; ask again.",
            **self._facts(),
        )

    def _load_error(self) -> EdgedError:
        if self.ended_with_template:
            return BackendError(f"{self.spec.name}: the runtime's process ended while the model was loaded")
        return ModelLoadError(
            f"{self.spec.name}: the worker ended while loading ({self._ending()})",
            hint=f"Its memory limit is {self.spec.memory_limit_bytes} bytes; see budget.memory_bytes in the manifest.",
            **self._facts(),
        )

    def _facts(self) -> dict[str, int]:
        status = self._child.status
        if status is None:
            return {}
        return {"signal": -status} if status < 0 else {"exit_status": status}

    def _ending(self) -> str:
        how = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self._facts().items())
        return "; ".join(filter(None, (how or "it was told to", self._fault)))
