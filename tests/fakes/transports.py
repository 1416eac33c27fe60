"""A connection without a loop that watches it: tests hand bytes to its protocol and read what it wrote."""

import asyncio
import socket

from edged.api.connection.guard import Guard


class FakeTransport(asyncio.Transport):
    """Keeps what is written; its peer is this process.

    With ``high_bytes``, the guard is told to stop writing once so many bytes are unread, until ``read`` is called.
    """

    def __init__(self, *, high_bytes: int | None = None) -> None:
        super().__init__()
        self.guard: Guard
        self._high_bytes = high_bytes
        self._read = 0
        self.is_full = False
        self.written = bytearray()
        self.has_eof = False
        self.is_closed = False
        self.is_reading_paused = False
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX)

    def get_extra_info(self, name, default=None):
        return self.ours if name == "socket" else default

    def write(self, data):
        assert not self.has_eof, "written after the end"
        self.written += data
        if self._high_bytes is not None and not self.is_full and len(self.written) - self._read > self._high_bytes:
            self.is_full = True
            self.guard.pause_writing()

    def read(self) -> None:
        """Have the peer read all that was written."""
        self._read = len(self.written)
        if self.is_full:
            self.is_full = False
            self.guard.resume_writing()

    def write_eof(self):
        self.has_eof = True

    def close(self):
        self.is_closed = True

    def abort(self):
        self.is_closed = True

    def is_closing(self):
        return self.is_closed

    def pause_reading(self):
        self.is_reading_paused = True

    def resume_reading(self):
        self.is_reading_paused = False

    def end(self) -> None:
        self.ours.close()
        self.theirs.close()


def deliver(guard: Guard, data: bytes) -> None:
    """Hand bytes to a guard as the event loop does: in as many parts as its buffers make of them."""
    while data:
        with memoryview(guard.get_buffer(-1)) as buffer:
            count = min(len(buffer), len(data))
            buffer[:count] = data[:count]
        guard.buffer_updated(count)
        data = data[count:]
