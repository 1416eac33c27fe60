"""The worker's side of a worker handle, played by a test: real channels, a real process, and answers as good or bad as one likes."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Sequence

import msgspec

from edged.host.channel import make_pair
from edged.host.process import Child
from edged.host.worker import Worker
from edged.runtime.memory import SharedMemory
from edged.runtime.wire import (
    MAX_DATAGRAM_BYTES,
    MAX_FILES,
    TO_CONTROL,
    TO_RUNS,
    Answered,
    Loaded,
    Ran,
    TensorHead,
    WorkerSpec,
    decode,
    encode,
)
from tests.fakes.patience import PATIENCE_S


class FarEnd:
    """A process that does nothing, and the channels it would have; the test reads and answers in its place.

    The template's part is the test's, too: the process is known to be gone once ``report`` was called.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(["/bin/sleep", "infinity"])
        self.pidfd = os.pidfd_open(self._process.pid)
        self.child = Child(self._process.pid, os.pidfd_open(self._process.pid))
        self.near_control, self.control = make_pair()
        self.near_runs, self.runs = make_pair()
        self.near_loans, self.loans = make_pair()
        self.control.settimeout(PATIENCE_S)
        self.runs.settimeout(PATIENCE_S)

    def handle(self, spec: WorkerSpec, memory: SharedMemory, *, stop_within_s: float = PATIENCE_S) -> Worker:
        return Worker(
            spec,
            control=self.near_control,
            runs=self.near_runs,
            loans=self.near_loans,
            child=self.child,
            memory=memory,
            stop_within_s=stop_within_s,
        )

    def receive(self) -> tuple[msgspec.Struct, bytes, list[int]]:
        """Take a message of the runs channel: with its payload, and with descriptors that the caller closes."""
        data, descriptors, _, _ = socket.recv_fds(self.runs, MAX_DATAGRAM_BYTES, MAX_FILES)
        message, payload = decode(TO_RUNS, data)
        return message, bytes(payload), descriptors

    def told(self) -> msgspec.Struct:
        """Take a message of the control channel."""
        return decode(TO_CONTROL, self.control.recv(MAX_DATAGRAM_BYTES))[0]

    def say(self, message: Ran, payload: Sequence[bytes] = ()) -> None:
        self.runs.send(b"".join(encode(message, payload)))

    def say_loaded(self, **changes: object) -> None:
        self.control.send(b"".join(encode(Loaded(**{"load_s": 0.5, "runtime": "fake 1.0"} | changes))))

    def close_channels(self) -> None:
        self.control.close()
        self.runs.close()
        self.loans.close()

    async def death(self) -> None:
        """Wait until the process was killed."""
        loop = asyncio.get_running_loop()
        dead = asyncio.Event()
        loop.add_reader(self.pidfd, dead.set)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await dead.wait()
        finally:
            loop.remove_reader(self.pidfd)

    async def report(self, status: int = -9) -> None:
        """Have the process be gone, its channels with it, and tell the handle."""
        self._process.kill()
        self._process.wait()
        self.close_channels()
        self.child.end(status)

    async def close(self) -> None:
        await self.report()
        self.near_control.close()
        self.near_runs.close()
        self.near_loans.close()
        os.close(self.pidfd)


def answer(run: int, *parts: bytes, name: str = "y", **changes: object) -> Ran:
    """The answer to a run of one request whose one output is FP32, of any length."""
    heads = (TensorHead(name=name, dtype="FP32", shape=(len(part) // 4,), size=len(part)) for part in parts)
    return msgspec.structs.replace(Ran(run=run, answers=(Answered(tensors=tuple(heads)),), run_s=0.5), **changes)
