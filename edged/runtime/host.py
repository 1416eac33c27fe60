"""The daemon's side of the runtime: one ``Template`` that forks, one ``Worker`` for each loaded model.

Who owns what: the template owns its process and reports the end of workers; a worker belongs to whoever started it, who closes it. When
the template ends for any reason, all its workers end with it, each is reported lost, and the next ``start_worker`` starts a new template.
Everything here runs on one event loop; nothing blocks it.
"""

import asyncio
import itertools
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from edged.errors import BackendError, ModelLoadError
from edged.runtime.process import TemplateProcess
from edged.runtime.remote import error_of
from edged.runtime.streams import receive_frame, send_frame
from edged.runtime.wire import FROM_WORKER, Load, Loaded, WireError, WorkerSpec, encode
from edged.runtime.worker_handle import Worker

START_TIMEOUT_S: Final = 30.0
"""For importing the runtime; a small board with a cold disk needs several seconds."""

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

    async def start_worker(self, spec: WorkerSpec, files: Sequence[int], *, timeout_s: float) -> Worker:
        """Fork a worker and wait until it has loaded its model.

        Args:
            spec: What to load, and the digests its files must have.
            files: An open descriptor for each of ``spec.files``, in order (``edged.runtime.specs.open_variant``). They stay the
                caller's, who may close them when this returns.
            timeout_s: Seconds for all of it, a restart of the template included.

        Raises:
            DigestMismatchError: A file is not the one that was signed.
            UnsafeModelError: The model asks for what no model may.
            IncompatibleError: The runtime is not one the variant is for.
            BundleError: The pipeline cannot be prepared.
            ModelLoadError: The runtime refuses the model, or loading broke a limit (time, memory) or the process.
            BackendError: No process could be started.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        worker: Worker | None = None
        try:
            ours.settimeout(0)
            async with asyncio.timeout(timeout_s):
                process = await self._running()
                with theirs:
                    child = await process.fork(next(self._requests), spec, [theirs.fileno(), *files])
                worker = Worker(spec, ours, child)
                await _load(worker, ours, spec)
        except BaseException as exc:
            # Also when the caller is cancelled: nobody would own the worker.
            theirs.close()
            if worker is None:
                ours.close()
            else:
                await worker.close()
            if isinstance(exc, TimeoutError):
                raise ModelLoadError(
                    f"{spec.name}: not loaded after {timeout_s:g} s",
                    hint="Raise worker.load_timeout_s, or publish a smaller variant.",
                ) from exc
            raise
        return worker

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


async def _load(worker: Worker, channel: socket.socket, spec: WorkerSpec) -> None:
    try:
        await send_frame(channel, encode(Load(spec=spec)))
        message, _ = await receive_frame(channel, FROM_WORKER)
        if not isinstance(message, Loaded):
            raise error_of(message)
    except (WireError, OSError) as exc:
        ending = await worker.ending()
        if worker.ended_with_template:
            raise BackendError(f"{spec.name}: the runtime's process ended while the model was loaded") from exc
        raise ModelLoadError(
            f"{spec.name}: the worker ended while loading ({ending})",
            hint=f"Its memory limit is {spec.memory_limit_bytes} bytes; see budget.memory_bytes in the manifest.",
        ) from exc
    worker.note_loaded(message)
