"""What has just happened on this device, for whoever listens: a bounded ring of numbered events. For one event loop.

Rules:

1. An event is written down as bytes once, however many listen, and not at all by whoever publishes it.
2. The ring keeps the newest events, at most so many and so many bytes. Whoever listens has a place in it and nothing else, so a slow
   reader costs no memory; one that the ring has overtaken finds out when it reads on.
3. Numbers begin anew with each start of the daemon; an ID therefore names the start as well.
"""

import asyncio
import re
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec

from edged.api.documents.events import EventType

MAX_EVENTS: Final = 512
MAX_BYTES: Final = 1 << 20
"""Of the data of all events that are kept."""
SINCE_START: Final = "0-0"
"""The ID that no event has, for all that came since the daemon's start."""
_ID: Final = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,15})\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened."""

    number: int
    type: EventType
    data: bytes
    """JSON on one line."""


class Events:
    """The ring, and who waits for more.

    Args:
        epoch: Names this start of the daemon, in lower-case hexadecimal digits.
        max_events: Most that are kept.
        max_bytes: Of their data together.
    """

    def __init__(self, *, epoch: str, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._epoch = epoch
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._kept: deque[Event] = deque()
        self._kept_bytes = 0
        self._newest = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._is_closed = False

    @property
    def newest(self) -> int:
        """The number of the newest event; 0 before the first one."""
        return self._newest

    @property
    def is_closed(self) -> bool:
        """Whether nothing will be published any more."""
        return self._is_closed

    def publish(self, type_: EventType, data: object) -> None:
        """Tell everybody who listens.

        Args:
            type_: What kind of thing happened.
            data: What ``msgspec`` writes as JSON.
        """
        self._newest += 1
        event = Event(number=self._newest, type=type_, data=msgspec.json.encode(data))
        self._kept.append(event)
        self._kept_bytes += len(event.data)
        while len(self._kept) > self._max_events or self._kept_bytes > self._max_bytes:
            self._kept_bytes -= len(self._kept.popleft().data)
        self._wake()

    def close(self) -> None:
        """Have everybody stop listening."""
        self._is_closed = True
        self._wake()

    def id_of(self, number: int) -> str:
        """Return the ID under which a listener asks for what came after an event."""
        return f"{self._epoch}-{number}"

    def find(self, last_id: str) -> int | None:
        """Return the number that an ID names; None where what came after it is not known here any more, or never was."""
        found = _ID.match(last_id)
        if last_id == SINCE_START:
            number = 0
        elif found is None or found[1] != self._epoch:
            return None
        else:
            number = int(found[2])
        return number if self.reaches(number) and number <= self._newest else None

    def reaches(self, number: int) -> bool:
        """Tell whether everything that came after an event is still kept."""
        return number + 1 >= self._oldest

    def after(self, number: int, *, most: int) -> list[Event]:
        """Return what is kept of what came after an event, oldest first, but not more than so many."""
        first = max(0, number + 1 - self._oldest)
        return list(islice(self._kept, first, first + most))

    async def wait(self, number: int) -> None:
        """Wait until there is something after an event, or nothing will come any more."""
        while self._newest <= number and not self._is_closed:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)

    @property
    def _oldest(self) -> int:
        """The number of the oldest event that is kept, or that will be."""
        return self._newest - len(self._kept) + 1

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
