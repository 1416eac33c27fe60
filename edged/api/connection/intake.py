"""The body of a request on its way to whoever takes it: the server library, an exchange, the memory of an exchange, or nobody."""

import asyncio

from edged.api.http.inbox import Inbox
from edged.api.oip.infer import Exchange


class Intake:
    """The body that a connection receives now."""

    __slots__ = ("_exchange", "_library", "left", "room")

    def __init__(self) -> None:
        self.left = 0
        """Bytes that nobody has taken yet."""
        self.room: memoryview | None = None
        """Where the rest of a large body is to be received."""
        self._exchange: Exchange | None = None
        self._library: asyncio.Protocol | None = None

    def expect(self, length: int, *, exchange: Exchange | None = None, library: asyncio.Protocol | None = None) -> None:
        """Begin with a body.

        Args:
            length: Its bytes.
            exchange: Gets it as a whole, in its own memory if it has some.
            library: Gets it as it comes. Without either, the body is read for the sake of what follows it.
        """
        self.left = length
        self.room = None if exchange is None else exchange.room
        self._exchange = exchange
        self._library = library

    def take(self, inbox: Inbox) -> bool:
        """Hand over what there is; False where nothing can be."""
        if not inbox:
            return False
        if self.room is not None:
            self.filled(inbox.take_into(self.room))
        elif self._exchange is not None:
            content = inbox.take_whole(self.left)
            if content is None:
                return False
            self.left = 0
            self._run(content)
        else:
            part = inbox.take(self.left)
            self.left -= len(part)
            if self._library is not None:
                self._library.data_received(part)
        return True

    def filled(self, count: int) -> None:
        """Note that the next ``count`` bytes are in ``room``."""
        self.left -= count
        if self.left and self.room is not None:
            self.room = self.room[count:]
            return
        self._run(None)

    def forget(self) -> None:
        """Expect nothing more."""
        self.expect(0)

    def _run(self, content: bytes | None) -> None:
        exchange, self._exchange = self._exchange, None
        self.room = None
        if exchange is not None:
            exchange.run(content)
