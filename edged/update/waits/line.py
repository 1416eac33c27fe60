"""One connection of the updater's process, whose waits are the process's own (``edged.update.waits.waiting``)."""

import socket
from collections.abc import Callable
from typing import Final, TypeVar

from edged.update.waits.waiting import Direction, Waits

T = TypeVar("T")

BLOCK_BYTES: Final = 1 << 14


class Line:
    """A stream of bytes in both directions.

    Args:
        connection: It belongs to the line from now on.
        waits: Where to wait for it.
    """

    def __init__(self, connection: socket.socket, waits: Waits) -> None:
        connection.settimeout(0)
        self._connection = connection
        self._waits = waits

    def send(self, data: bytes, *, deadline_s: float) -> None:
        """Send all of some bytes.

        Raises:
            TimeoutError: The other end did not take them by ``deadline_s``, monotonic seconds.
            OSError: The connection broke.
        """
        left = memoryview(data)
        while left:
            sent = self._do(lambda: self._connection.send(left), "write", deadline_s=deadline_s)  # noqa: B023 - called at once
            left = left[sent:]

    def receive(self, *, deadline_s: float) -> bytes:
        """Receive some bytes; none when the other end has closed the connection.

        Raises:
            TimeoutError: None came by ``deadline_s``, monotonic seconds.
            OSError: The connection broke.
        """
        return self._do(lambda: self._connection.recv(BLOCK_BYTES), "read", deadline_s=deadline_s)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _do(self, action: Callable[[], T], to: Direction, *, deadline_s: float) -> T:
        """Try an action whenever the connection may be ready for it."""
        while True:
            try:
                return action()
            except OSError as exc:
                wanted = self._wanted(exc, to)
                if wanted is None:
                    raise
            self._waits.until_ready(self._connection, wanted, deadline_s=deadline_s)

    def _wanted(self, error: OSError, to: Direction) -> Direction | None:
        """Tell what the connection has to become ready for before an action can succeed; None when it never will."""
        return to if isinstance(error, BlockingIOError) else None
