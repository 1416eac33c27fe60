"""The template's process as the daemon sees it: spawned, asked to fork, watched, ended.

It is started with ``posix_spawn(3)`` rather than ``subprocess``, which needs pipe2(2); the daemon's system call filter takes that away
with the rest of ``@ipc``. Its end is known from its socket, and workers' ends from its messages.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import edged
from edged.errors import BackendError, WorkerLostError
from edged.runtime.control import (
    MAX_DATAGRAM_BYTES,
    Exited,
    Fork,
    Forked,
    ForkFailed,
    FromTemplate,
    Ready,
    decode_from_template,
    encode,
)
from edged.runtime.wire import WireError, WorkerSpec

CHILD_DESCRIPTOR: Final = 3
CLOSE_TIMEOUT_S: Final = 5.0


class Child:
    """A forked worker: its identity, and how it ended.

    Once it has ended it touches no memory any more: the kernel has unmapped all of it.
    """

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.ended = asyncio.Event()
        self.status: int | None = None
        """Exit status, or minus the signal; None while it runs or when it ended with the template."""
        self._pidfd = pidfd
        self._on_end: Callable[[], None] | None = None

    def on_end(self, call: Callable[[], None]) -> None:
        """Have this called when it has ended, before ``ended`` is seen by whoever waits for it."""
        if self.ended.is_set():
            asyncio.get_running_loop().call_soon(call)
        else:
            self._on_end = call

    def kill(self) -> None:
        """End it at once; the process identifier cannot have been given to another."""
        if not self.ended.is_set():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def end(self, status: int | None) -> None:
        """Note that it is gone, as the template says."""
        if self.ended.is_set():
            return
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.status = status
        self.ended.set()
        if self._on_end is not None:
            self._on_end()

    def end_alone(self) -> None:
        """Kill it and note its end as soon as the kernel tells; for when there is no template any more to say so."""
        self.kill()
        if not self.ended.is_set():
            asyncio.get_running_loop().add_reader(self._pidfd, self.end, None)


class TemplateProcess:
    """One life of the template."""

    def __init__(self) -> None:
        self.pid = 0
        self.runtime = ""
        self.has_ended = False
        self._control: socket.socket | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._forks: dict[int, asyncio.Future[Child]] = {}
        self._children: dict[int, Child] = {}

    async def start(self) -> None:
        """Spawn the process and wait until it has imported the runtime.

        Raises:
            BackendError: It could not be spawned, or ended at once.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(0)
        with theirs:
            try:
                self.pid = _spawn(theirs.fileno())
            except OSError as exc:
                ours.close()
                self.has_ended = True
                raise BackendError(f"the runtime's process cannot be started: {exc.strerror}") from exc
        self._control = ours
        asyncio.get_running_loop().add_reader(ours, self._receive)
        await self._ready

    async def fork(self, request: int, spec: WorkerSpec, descriptors: Sequence[int]) -> Child:
        """Start a worker that holds copies of some descriptors: its channels (control, runs), then its files.

        Raises:
            BackendError: The system refused.
            WorkerLostError: The template ended meanwhile.
        """
        if self._control is None or self.has_ended:
            raise WorkerLostError("the runtime's process has ended")
        message = Fork(request=request, name=spec.name, memory_limit_bytes=spec.memory_limit_bytes)
        forked: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._forks[request] = forked
        try:
            socket.send_fds(self._control, [encode(message)], descriptors)
            return await forked
        except OSError as exc:
            raise BackendError(f"the runtime's process takes no requests: {exc.strerror}") from exc
        finally:
            del self._forks[request]

    async def close(self) -> None:
        """End the process and wait until it is gone; its workers end with it."""
        self._end("it was closed")
        if not self.pid:
            return
        pidfd = os.pidfd_open(self.pid)
        try:
            if not await _is_readable(pidfd, CLOSE_TIMEOUT_S):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                await _is_readable(pidfd, CLOSE_TIMEOUT_S)
            _reap(pidfd)
        finally:
            os.close(pidfd)
            self.pid = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for child in self._children.values():
                    await child.ended.wait()

    def _receive(self) -> None:
        if self._control is None:
            return
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, MAX_DATAGRAM_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
            if not data:
                self._end("it ended by itself")
                return
            message = decode_from_template(data)
        except BlockingIOError:
            return
        except (OSError, WireError) as exc:
            self._end(str(exc))
            return
        self._handle(message, descriptors)

    def _handle(self, message: FromTemplate, descriptors: Sequence[int]) -> None:
        match message:
            case Ready():
                self.runtime = message.runtime
                if not self._ready.done():
                    self._ready.set_result(None)
            case Forked():
                self._adopt(message, descriptors)
            case ForkFailed():
                if (future := self._forks.get(message.request)) is not None:
                    _fail(future, BackendError(f"the system refused a worker: {message.message}"))
            case Exited():
                if (child := self._children.pop(message.pid, None)) is not None:
                    child.end(message.status)

    def _adopt(self, message: Forked, descriptors: Sequence[int]) -> None:
        future = self._forks.get(message.request)
        if not descriptors:
            # The kernel drops what there is no number for (unix(7)). Nobody knows this worker: it ends when its channels are closed.
            if future is not None:
                _fail(future, BackendError("too many files are open for another worker"))
            return
        child = Child(message.pid, descriptors[0])
        self._children[message.pid] = child
        if future is None or future.done():
            child.kill()  # whoever asked for it has gone
        else:
            future.set_result(child)

    def _end(self, reason: str) -> None:
        """Note that the template is gone or going, and everything of it."""
        if self.has_ended:
            return
        self.has_ended = True
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()
            self._control = None
        error = WorkerLostError(f"the runtime's process is gone: {reason}")
        _fail(self._ready, error)
        for future in self._forks.values():
            _fail(future, error)
        for child in self._children.values():
            child.end_alone()


def _spawn(descriptor: int) -> int:
    environment = {
        "LANG": "C.UTF-8",
        "PATH": os.environ.get("PATH", os.defpath),
        # The child must find the same package, wherever this process found it.
        "PYTHONPATH": str(Path(edged.__file__).parent.parent),
        # A process that forks must have one thread; numpy's BLAS would make more when it is imported.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # malloc gives each thread that meets another one an arena of its own, where freed memory is of no use to the others. With one for
        # all, a worker with a 3 MB model had 26 MB of its own after 400 runs instead of 31, and ran as many a second (two cores).
        "MALLOC_ARENA_MAX": "1",
    }
    command = [sys.executable, "-P", "-m", "edged.worker.template", str(CHILD_DESCRIPTOR)]
    return os.posix_spawn(
        sys.executable,
        command,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, descriptor, CHILD_DESCRIPTOR),
        ],
        setsid=True,
        setsigmask=[],
    )


def _reap(pidfd: int) -> None:
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)


async def _is_readable(descriptor: int, timeout_s: float) -> bool:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        async with asyncio.timeout(timeout_s):
            await readable.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
    return True


def _fail(future: asyncio.Future[None] | asyncio.Future[Child], error: BackendError) -> None:
    if not future.done():
        future.set_exception(error)
        # Nobody may be waiting any more, which is no fault.
        future.exception()
