"""Bytes received on a connection, cut into heads and bodies (RFC 9112, section 2.2). No sockets.

All connections receive into one scratch memory: the event loop has it filled and read in one go, so that it is never two connections'
at a time. What is complete is taken right out of it; only what is left over is kept for each connection.
"""

import string
from http import HTTPStatus
from typing import Final

from edged.api.http.head import MAX_HEAD_BYTES, HeadRefusedError
from edged.api.http.problems import for_status

SCRATCH_BYTES: Final = 64 << 10
"""The largest head and the largest body that is taken in one piece fit in together."""
HEAD_END: Final = b"\r\n\r\n"
_LETTERS: Final = frozenset(string.ascii_letters.encode())
"""What a method begins with."""


class Inbox:
    """What was received and not taken yet.

    Args:
        scratch: Where bytes are received. Between ``received`` and ``keep`` nobody else may write to it.
    """

    __slots__ = ("_at", "_data", "_end", "_kept", "_scanned", "_scratch")

    def __init__(self, scratch: bytearray) -> None:
        self._scratch = scratch
        self._kept = bytearray()
        self._data = scratch
        """Whichever of the two has what is left, from ``_at`` to ``_end``."""
        self._at = 0
        self._end = 0
        self._scanned = 0
        """How many bytes after ``_at`` were searched for the end of a head."""

    def __len__(self) -> int:
        return self._end - self._at

    def received(self, count: int) -> None:
        """Add the first bytes of the scratch memory to what is left."""
        if self._at == self._end:
            self._data, self._at, self._end = self._scratch, 0, count
        else:
            self._kept += memoryview(self._scratch)[:count]
            self._end += count

    def keep(self) -> None:
        """Give the scratch memory free."""
        if self._at == self._end:
            self._kept.clear()
            self._at = self._end = 0
        elif self._data is self._scratch:
            self._kept += memoryview(self._scratch)[self._at : self._end]
            self._data, self._at, self._end = self._kept, 0, self._end - self._at
        elif self._at:
            del self._kept[: self._at]
            self._at, self._end = 0, self._end - self._at

    def take_head(self) -> bytes | None:
        """Take a head without the empty line at its end; None while it is not complete.

        Raises:
            HeadRefusedError: It is too long, or it can be seen already that it is no HTTP.
        """
        while self._at < self._end and self._data[self._at] in b"\r\n":
            self._at += 1  # Empty lines before a request line are ignored.
        # Told at once, where it can be seen at once, instead of after the deadline.
        if self._at < self._end and self._data[self._at] not in _LETTERS:
            raise _no_http()
        found = self._data.find(HEAD_END, self._at + self._scanned, self._end)
        # Of an unfinished one, the last bytes may be the beginning of its end.
        if (found if found >= 0 else self._end - len(HEAD_END) + 1) - self._at > MAX_HEAD_BYTES:
            raise HeadRefusedError(
                for_status(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"A request's head has at most {MAX_HEAD_BYTES} bytes."
                )
            )
        if found < 0:
            self._scanned = max(0, len(self) - len(HEAD_END) + 1)
            line_end = self._data.find(b"\n", self._at, self._end)
            if line_end > self._at and self._data[line_end - 1] != ord("\r"):
                raise _no_http()
            return None
        self._scanned = 0
        head = self._cut(found)
        self._at = found + len(HEAD_END)
        return head

    def take_whole(self, size: int) -> bytes | None:
        """Take so many bytes; None while there are fewer."""
        return self._cut(self._at + size) if size <= self._end - self._at else None

    def take(self, most: int) -> bytes:
        """Take what there is, but no more than so many bytes."""
        return self._cut(min(self._at + most, self._end))

    def take_into(self, room: memoryview) -> int:
        """Move what there is into other memory; returns how many bytes."""
        count = min(len(room), len(self))
        room[:count] = memoryview(self._data)[self._at : self._at + count]
        self._at += count
        return count

    def drop(self) -> None:
        """Drop all there is."""
        self._at = self._end = self._scanned = 0

    def _cut(self, end: int) -> bytes:
        part = bytes(memoryview(self._data)[self._at : end])
        self._at = end
        return part


def _no_http() -> HeadRefusedError:
    return HeadRefusedError(for_status(HTTPStatus.BAD_REQUEST, "What was sent does not look like an HTTP/1.1 request."))
