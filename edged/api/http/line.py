"""One connection as seen from the sending side: what is said to its peer, how long the peer may take, and how it ends.

It ends in one of three ways. ``close`` sends what is left to send. ``linger`` does so for a peer that is still sending and would not
read what it was told if the kernel broke the connection at once. ``stop_listening`` is for one that is idle while a request may be on its
way: first the kernel takes nothing more, which the peer learns when it sends; what had been taken before is still read and answered.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Final

from edged.api.http.deadline import Deadline
from edged.api.http.responses import CONTINUE, Response, encode_response

LINGER_S: Final = 2.0


class Waits(Enum):
    """What the peer is waited for."""

    FIRST_HEAD = auto()
    HEAD = auto()
    BODY = auto()
    NEXT = auto()
    """Another request."""
    LINGERING = auto()


class Line:
    """The sending side of a connection.

    Args:
        transport: The connection.
        late: Called when the peer took too long, with what it was waited for.
    """

    def __init__(self, transport: asyncio.Transport, late: Callable[[Waits], None]) -> None:
        self.transport: Final = transport
        self.waits: Waits | None = None
        self.is_deaf = False
        """The kernel takes nothing more from the peer."""
        self.is_lingering = False
        """Whatever comes is dropped."""
        self._late = late
        self._loop = asyncio.get_running_loop()
        self._deadline = Deadline(self._loop, self._is_late)
        self._write_timer: asyncio.TimerHandle | None = None

    @property
    def is_full(self) -> bool:
        """Tell whether the peer has to read before it is told more."""
        return self._write_timer is not None

    def send(self, response: Response, *, connection: str) -> None:
        """Send a response; nothing is sent to a peer that is gone.

        Args:
            response: What to say.
            connection: Value of its Connection header; empty for none.
        """
        if not self.transport.is_closing():
            for buffer in encode_response(response, connection=connection):
                self.transport.write(buffer)

    def send_continue(self) -> None:
        """Tell the peer to send its body."""
        self.transport.write(CONTINUE)

    def wait(self, what: Waits, seconds: float) -> None:
        """Give the peer so many seconds from now."""
        self.waits = what
        self._deadline.set(seconds)

    def wait_no_more(self) -> None:
        """Note that what was waited for has come."""
        self.waits = None
        self._deadline.clear()

    def fill(self, seconds: float) -> None:
        """Give a peer that reads slowly so many seconds, before it is cut off."""
        self._write_timer = self._loop.call_later(seconds, self.transport.abort)

    def drained(self) -> None:
        """Note that the peer has read."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def close(self) -> None:
        """Send what is left to send, and close."""
        self.transport.close()

    def linger(self) -> None:
        """Say that this was all, and close when the peer has had a chance to read it."""
        self.is_lingering = True
        self.transport.write_eof()
        self.wait(Waits.LINGERING, LINGER_S)

    def stop_listening(self) -> None:
        """Let the peer's end of the connection end, behind whatever it has sent already."""
        self.is_deaf = True
        with suppress(OSError):  # the peer is gone
            self.transport.get_extra_info("socket").shutdown(socket.SHUT_RD)

    def lost(self) -> None:
        """Note that the connection is no more; nobody is called any more."""
        self._deadline.end()
        self.drained()
        self._late = _nobody

    def _is_late(self) -> None:
        waits, self.waits = self.waits, None
        if waits is Waits.LINGERING:
            self.close()
        elif waits is not None:
            self._late(waits)


def _nobody(_waits: Waits) -> None:
    """Stand in for whoever is not to be called any more, so that a connection that ended is free at once."""
