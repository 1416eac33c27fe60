"""The daemon's side of the runtime: one ``Template`` that forks, one ``Worker`` for each loaded model.

Who owns what: the template owns its process and reports the end of workers; a worker belongs to whoever started it, who closes it. When
the template ends for any reason, all its workers end with it, each is reported lost, and the next ``start_worker`` starts a new template.
Everything here runs on one event loop; nothing blocks it.
"""

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

from edged.errors import BackendError, ModelLoadError
from edged.host.channel import make_pair
from edged.host.patience import patience
from edged.host.process import TemplateProcess
from edged.host.worker import Worker
from edged.runtime.memory import SharedMemory
from edged.runtime.wire import WorkerSpec

START_TIMEOUT_S: Final = 30.0
"""For importing the runtime; a small board with a cold disk needs several seconds."""
OWN_MEMORY_BYTES: Final = 512 << 20
"""Most memory that a worker shares with us when nobody else brings some: a validation's samples may have 64 MiB each."""

__all__ = ["START_TIMEOUT_S", "Template", "Worker"]


class Template:
    """Starts workers. Use as an async context manager; leaving it ends the template and every worker."""

    def __init__(self, *, start_timeout_s: float = START_TIMEOUT_S) -> None:
        self._start_timeout_s = start_timeout_s
        self._process: TemplateProcess | None = None
        self._starting = asyncio.Lock()
        self._requests = itertools.count()

    async def __aenter__(self) -> Self:
        """Start the template and wait until it can fork.

        Raises:
            BackendError: It did not come up in time.
        """
        await self._running()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the template and its workers."""
        if self._process is not None:
            await self._process.close()

    @property
    def runtime(self) -> str:
        """Name and version of what executes models (``onnxruntime 1.21.0``); empty before the first start."""
        return "" if self._process is None else self._process.runtime

    @property
    def pid(self) -> int | None:
        """The template's process; None while there is none."""
        return None if self._process is None or self._process.has_ended else self._process.pid

    async def start_worker(
        self,
        spec: WorkerSpec,
        files: Sequence[int],
        *,
        timeout_s: float,
        memory: SharedMemory | None = None,
        stop_within_s: float = 5.0,
    ) -> Worker:
        """Fork a worker and wait until it has loaded its model.

        Args:
            spec: What to load, and the digests its files must have.
            files: An open descriptor for each of ``spec.files``, in order (``edged.runtime.specs.open_variant``). They stay the
                caller's, who may close them when this returns.
            timeout_s: Seconds for all of it, a restart of the template included.
            memory: Shared by the workers of this model, one after the other; None gives it memory of its own, which goes with it.
            stop_within_s: How long a run may go on after it was told to stop, before the worker is ended.

        Raises:
            DigestMismatchError: A file is not the one that was signed.
            UnsafeModelError: The model asks for what no model may.
            IncompatibleError: The runtime is not one the variant is for.
            BundleError: The pipeline cannot be prepared.
            ModelLoadError: The runtime refuses the model, or loading broke a limit (time, memory) or the process.
            BackendError: No process could be started.
        """
        worker: Worker | None = None
        try:
            async with patience(timeout_s):
                worker = await self._fork(spec, files, memory, stop_within_s)
                await worker.load()
        except BaseException as exc:
            # Also when the caller is cancelled: nobody would own the worker.
            if worker is not None:
                await worker.close()
            if isinstance(exc, TimeoutError):
                raise ModelLoadError(
                    f"{spec.name}: not loaded after {timeout_s:g} s",
                    hint="Raise worker.load_timeout_s, or publish a smaller variant.",
                ) from exc
            raise
        return worker

    async def _fork(
        self, spec: WorkerSpec, files: Sequence[int], memory: SharedMemory | None, stop_within_s: float
    ) -> Worker:
        process = await self._running()
        with ExitStack() as ours, ExitStack() as theirs:
            control, their_control = make_pair()
            ours.callback(control.close)
            theirs.callback(their_control.close)
            runs, their_runs = make_pair()
            ours.callback(runs.close)
            theirs.callback(their_runs.close)
            loans, their_loans = make_pair()
            ours.callback(loans.close)
            theirs.callback(their_loans.close)
            handed = [their_control.fileno(), their_runs.fileno(), their_loans.fileno(), *files]
            child = await process.fork(next(self._requests), spec, handed)
            ours.pop_all()
        return Worker(
            spec,
            control=control,
            runs=runs,
            loans=loans,
            child=child,
            memory=memory or SharedMemory(max_bytes=lambda: OWN_MEMORY_BYTES),
            owns_memory=memory is None,
            stop_within_s=stop_within_s,
        )

    async def _running(self) -> TemplateProcess:
        async with self._starting:
            if self._process is None or self._process.has_ended:
                if self._process is not None:
                    await self._process.close()
                process = self._process = TemplateProcess()
                try:
                    async with asyncio.timeout(self._start_timeout_s):
                        await process.start()
                except BaseException as exc:
                    await process.close()
                    if isinstance(exc, TimeoutError):
                        raise BackendError(f"the runtime did not start within {self._start_timeout_s:g} s") from exc
                    raise
            return self._process
