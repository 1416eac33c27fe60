"""A running worker as the daemon sees it."""

import asyncio
import itertools
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from edged.errors import BackendError, DeadlineError, TensorError, WorkerLostError
from edged.runtime.process import Child
from edged.runtime.remote import result_of
from edged.runtime.requests import check_request
from edged.runtime.streams import receive_frame, send_frame
from edged.runtime.tensors import InferResult, Tensor
from edged.runtime.wire import FROM_WORKER, Infer, Loaded, TensorHead, WireError, WorkerSpec, encode

END_TIMEOUT_S: Final = 5.0


class Worker:
    """One process with one loaded model; made by ``Template.start_worker``, closed by whoever started it.

    Requests run one at a time in the order of ``infer`` calls. Whoever needs a bound on the queue keeps it.
    """

    def __init__(self, spec: WorkerSpec, channel: socket.socket, child: Child) -> None:
        self.spec: Final = spec
        self.load_s = 0.0
        """Seconds from the first frame to the loaded model."""
        self.runtime = ""
        """Name and version of what executes the model."""
        self.answered = 0
        """Requests that were answered, with results or with an error of their own."""
        self._channel = channel
        self._child = child
        self._outputs = {item.name: item for item in spec.pipeline.outputs}
        self._requests = itertools.count()
        self._is_killed = False
        self._turn = asyncio.Lock()
        self._exchanges: set[asyncio.Task[InferResult]] = set()

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
        return not (self._is_killed or self.lost.is_set())

    @property
    def ended_with_template(self) -> bool:
        """True when the process is gone because the one that all workers come from is: no fault of the model."""
        return self.lost.is_set() and self._child.status is None

    @property
    def lost(self) -> asyncio.Event:
        """Set when the process is gone, for whatever reason; every later request fails."""
        return self._child.ended

    def note_loaded(self, message: Loaded) -> None:
        """Take over what the worker reports about its model."""
        self.load_s = message.load_s
        self.runtime = message.runtime

    async def infer(self, inputs: Sequence[Tensor], outputs: Sequence[str] = (), *, timeout_s: float) -> InferResult:
        """Run one request.

        Safe to call from many tasks at once. A caller that is cancelled stops waiting; the request, once sent, runs to its end or its
        deadline, because the worker would answer it before the next in any case.

        Args:
            inputs: All of the pipeline's inputs, or all of the model's own.
            outputs: Names wanted; empty means all of the pipeline's.
            timeout_s: Seconds from now until the answer is worth nothing.

        Raises:
            TensorError: The pipeline or the model does not take these tensors.
            DeadlineError: Time passed: while waiting, and the worker goes on; or while running, and the worker is killed.
            WorkerLostError: The worker ended, before or during this request.
            BundleError: The pipeline does not fit what the model gives.
            BackendError: The runtime failed; the worker goes on.
        """
        check_request(self.spec, inputs, outputs)
        loop = asyncio.get_running_loop()
        task = loop.create_task(
            self._exchange(inputs, outputs, loop.time() + timeout_s, timeout_s), name=f"infer {self.spec.name}"
        )
        self._exchanges.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def kill(self) -> None:
        """End the process at once; requests under way fail with ``WorkerLostError``."""
        self._is_killed = True
        self._child.kill()

    async def close(self) -> None:
        """End the process, wait until it is gone, and close the channel. Requests under way fail: drain first."""
        self.kill()
        if self._exchanges:
            await asyncio.wait(self._exchanges)
        await self.ending()
        self._channel.close()

    async def ending(self) -> str:
        """Wait for the end of a process that is ending, and return how it ended, for people."""
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await self.lost.wait()
        except TimeoutError:
            return "it does not end"
        status = self._child.status
        if status is None:
            return "with the runtime's process"
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    async def _exchange(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], deadline: float, timeout_s: float
    ) -> InferResult:
        late = DeadlineError(
            f"{self.spec.name}: not begun within {timeout_s:g} s", hint="Ask less often, or allow more time."
        )
        try:
            async with asyncio.timeout_at(deadline):
                await self._turn.acquire()
        except TimeoutError as exc:
            raise late from exc
        try:
            # Taking a free lock does not look at the time, and a request sent too late would cost the worker.
            if asyncio.get_running_loop().time() >= deadline:
                raise late
            return await self._run(inputs, outputs, deadline, timeout_s)
        finally:
            self._turn.release()

    async def _run(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], deadline: float, timeout_s: float
    ) -> InferResult:
        if not self.is_usable:
            raise WorkerLostError(f"{self.spec.name}: the worker has ended ({await self.ending()})")
        request = next(self._requests)
        heads = tuple(
            TensorHead(name=t.name, dtype=t.dtype, shape=t.shape, size=memoryview(t.data).nbytes) for t in inputs
        )
        message = Infer(request=request, tensors=heads, outputs=tuple(outputs))
        wanted = [self._outputs[name] for name in outputs or self._outputs]
        try:
            frame = encode(message, [tensor.data for tensor in inputs])
        except WireError as exc:
            raise TensorError(f"the request is too large: {exc}") from exc
        try:
            async with asyncio.timeout_at(deadline):
                await send_frame(self._channel, frame)
                answer, payload = await receive_frame(self._channel, FROM_WORKER)
            self.answered += 1
            return result_of(answer, payload, request=request, wanted=wanted)
        except TimeoutError as exc:
            # It may be anywhere in the model or the frame; only a new one has a known state.
            self.kill()
            raise DeadlineError(f"{self.spec.name}: no answer within {timeout_s:g} s; its worker is replaced") from exc
        except (WireError, OSError) as exc:
            self.kill()
            ending = await self.ending()
            if self.ended_with_template:
                raise BackendError(f"{self.spec.name}: the runtime's process ended during the request") from exc
            raise WorkerLostError(f"{self.spec.name}: the worker ended during the request ({ending}): {exc}") from exc

    def _finished(self, task: asyncio.Task[InferResult]) -> None:
        self._exchanges.discard(task)
        if not task.cancelled():
            task.exception()  # seen: its caller may have left
