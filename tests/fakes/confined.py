"""A process that confines itself as a worker does, and then does what it is told over a socket.

``python -m tests.fakes.confined FD CONFINEMENT THREADS DIRECTORY ABSTRACT PORT``: commands come as JSON over the SOCK_SEQPACKET socket
FD, one a datagram, and so do their results. CONFINEMENT is "none", "files" (``forbid_files`` only) or "whole". Each session of ONNX
Runtime has THREADS threads. The rest is for ``Held``. Like a worker it is forked from a process that has imported everything, and has
a thread besides its first.
"""

import json
import mmap
import os
import queue
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from edged.worker.backends.ort import load_library
from edged.worker.confine import filter_calls, forbid_files, limit_worker
from tests.fakes.attempts import ATTEMPTS, Held, call, outcome

ORT = load_library()
MEMORY_BYTES = 1 << 30
PATIENCE_S = 600.0


def session(model: bytes, threads: int) -> Any:
    options = ORT.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ORT.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def hold(directory: Path, abstract: str, port: int) -> Held:
    """Open what the attempts use."""
    for name in ("changed", "read", "removed", "renamed", "written"):
        (directory / name).touch()
    (directory / "held").write_bytes(bytes(4096))
    called, caller = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    called.bind("")
    called.listen()
    caller.connect(called.getsockname())
    return Held(
        directory=directory,
        file=os.open(directory / "held", os.O_RDWR),
        datagrams=socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
        stream=socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        called=called,
        parent=os.getppid(),
        abstract=f"\0{abstract}",
        port=port,
    )


class Confined:
    """The process once it is confined; each public method is a command."""

    def __init__(self, held: Held, models: dict[str, Any]) -> None:
        self._held = held
        self._models = models
        self._work: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            self._done.put(work())

    def _elsewhere(self, work: Any) -> Any:
        """Have the thread that ran before the filter do something."""
        self._work.put(work)
        return self._done.get()

    def pid(self) -> int:
        return os.getpid()

    def attempt(self, name: str, *, elsewhere: bool = False) -> str:
        def work() -> str:
            return outcome(lambda: ATTEMPTS[name](self._held))

        return self._elsewhere(work) if elsewhere else work()

    def call(self, name: str) -> str:
        return outcome(lambda: call(name))

    def attempt_in_new_thread(self, name: str) -> str:
        outcomes: list[str] = []
        thread = threading.Thread(target=lambda: outcomes.append(self.attempt(name)))
        thread.start()
        thread.join()
        return outcomes[0]

    def map(self, descriptor: int) -> float:
        """Add 1 to the FP32 numbers in a descriptor, in place, and return the last."""
        size = os.fstat(descriptor).st_size
        with mmap.mmap(descriptor, size) as segment:
            os.close(descriptor)
            numbers = np.frombuffer(segment, np.float32).reshape(-1, 4)
            numbers[:] = self._models["add"].run(None, {"x": numbers})[0]
            last = float(numbers[-1, -1])
            del numbers
        return last

    def serve(self, descriptor: int) -> str:
        """Answer one message on a connection, and end it."""
        with socket.socket(fileno=descriptor) as connection:
            question = connection.recv(100, socket.MSG_DONTWAIT)
            connection.send(question[::-1], socket.MSG_DONTWAIT)
            connection.shutdown(socket.SHUT_RDWR)
        return question.decode()

    def allocate(self, size: int) -> int:
        """Take and touch memory, here and where a thread allocates for the first time."""
        return len(bytearray(size)) + self._elsewhere(lambda: len(b"x" * size))

    def outgrow(self) -> str:
        """Ask a model for more memory than the process may have."""
        try:
            self._models["zeros"].run(None, {"count": np.array([MEMORY_BYTES], np.int64)})
        except Exception as exc:  # noqa: BLE001 - the runtime's exceptions have no base class of their own
            return type(exc).__name__
        return "allowed"

    def stop_a_run(self) -> str:
        """Let the other thread run for ever, and end that."""
        options = ORT.RunOptions()

        def work() -> str:
            try:
                feed = {"x": np.ones(1, np.float32), "times": np.array([1 << 60], np.int64)}
                self._models["loop"].run(None, feed, options)
            except Exception as exc:  # noqa: BLE001 - as above
                return str(exc)
            return "ended by itself"

        self._work.put(work)
        options.terminate = True
        return self._done.get()

    def explain(self) -> str:
        """Print an exception, as a worker that fails does."""
        try:
            int("for the journal")
        except ValueError:
            return traceback.format_exc()

    def abort(self) -> None:
        os.abort()

    def end(self) -> None:
        """End the other thread and then the process."""
        self._work.put(None)
        self._thread.join()
        os._exit(0)


def serve(channel: socket.socket, confined: Confined) -> None:
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, 1)
        if not data:
            os._exit(0)
        name, arguments = json.loads(data)
        channel.send(json.dumps(getattr(confined, name)(*descriptors, **arguments)).encode())


def main(descriptor: str, confinement: str, threads: str, directory: str, abstract: str, port: str) -> None:
    if child := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.exit(code if code >= 0 else 128 - code)
    missing: list[str | None] = []
    limit_worker(memory_bytes=MEMORY_BYTES, parent=os.getppid(), name="confined")
    held = hold(Path(directory), abstract, int(port))
    models = {path.stem: path.read_bytes() for path in Path(directory).glob("*.onnx")}
    if confinement != "none":
        missing.append(forbid_files())
    confined = Confined(held, {name: session(model, int(threads)) for name, model in models.items()})
    channel = socket.socket(fileno=int(descriptor))
    channel.settimeout(PATIENCE_S)  # changes the socket, which the filter does not allow
    if confinement == "whole":
        missing.append(filter_calls())
    channel.send(json.dumps(missing).encode())
    serve(channel, confined)


if __name__ == "__main__":
    main(*sys.argv[1:])
