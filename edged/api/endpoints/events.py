"""What happens on this device as it happens, ``/edged/v1/events``: server-sent events (HTML Living Standard, section 9.2).

Each stream follows the ring of ``edged.api.event_log``:

1. It begins with what came after ``Last-Event-ID``, or without that with what comes next. Where something after that ID is not known any
   more, or the ID is of another start of the daemon, an event ``missed`` comes first, then all that is known. ``0-0`` is before the
   first event since the start.
2. While nothing happens a comment goes out every ``HEARTBEAT_S``, so that a listener can tell quiet from gone.
3. A listener that reads so slowly that the ring overtakes it gets an event ``dropped``, and its stream ends. One that does not read at
   all is cut off by its connection's guard (``edged.api.connection.guard``).
4. When the daemon stops, an event ``stopping`` ends the stream.

Those three have no ID: after them a listener asks again with the last ID that it has.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from aiohttp import web

from edged.api.documents.events import CONTENT_TYPE, EVENT_TYPES, EVENTS_PATH, LAST_EVENT_ID
from edged.api.event_log import Event, Events
from edged.api.http.responses import SERVER
from edged.callers.peer import peer_of
from edged.errors import QuotaError, RequestError, UnavailableError

HEARTBEAT_S: Final = 15.0
MAX_STREAMS: Final = 16
MAX_STREAMS_PER_USER: Final = 4
RETRY_MS: Final = 1000
"""When a listener that lost its stream should come back."""
_AT_ONCE: Final = 16
"""Events that are written in one go: a slow reader is noticed between two of these."""
_QUERY: Final = frozenset({"types", "follow"})


class EventStreams:
    """The handler; one for all sockets, because they share the limits.

    Args:
        events: What happens.
        heartbeat_s: How long a stream may be silent.
    """

    def __init__(self, events: Events, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._events = events
        self._heartbeat_s = heartbeat_s
        self._listeners: Counter[int] = Counter()

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get(EVENTS_PATH, self.stream)]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Tell what happens until the listener leaves; or, where it does not want to follow, what is known now."""
        types, follows = _types(request), _follows(request)
        headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store", "Server": SERVER}
        if request.method == "HEAD":
            return web.Response(headers=headers)
        with self._place(request):
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            # A listener that leaves in the middle of a word is no error.
            with suppress(ConnectionError):
                await self._tell(response, request.headers.get(LAST_EVENT_ID), types, follows=follows)
            return response

    async def _tell(
        self, response: web.StreamResponse, last_id: str | None, types: frozenset[str], *, follows: bool
    ) -> None:
        events = self._events
        await response.write(b"retry: %d\n\n" % RETRY_MS)
        told = events.newest if last_id is None else events.find(last_id)
        if told is None:
            await response.write(_notice("missed"))
            told = 0
        while True:
            for event in events.after(told, most=_AT_ONCE):
                told = event.number
                if event.type in types:
                    await response.write(self._block(event))
                if not events.reaches(told):
                    await response.write(_notice("dropped"))
                    return
            if events.newest > told:
                continue
            if events.is_closed:
                await response.write(_notice("stopping"))
                return
            if not follows:
                return
            await self._wait(response, told)

    async def _wait(self, response: web.StreamResponse, told: int) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat_s):
                    await self._events.wait(told)
                    return
            await response.write(b":\n\n")

    def _block(self, event: Event) -> bytes:
        return f"id: {self._events.id_of(event.number)}\nevent: {event.type}\n".encode() + b"data: %b\n\n" % event.data

    @contextmanager
    def _place(self, request: web.Request) -> Iterator[None]:
        """Take one of the places for listeners.

        Raises:
            QuotaError: This user has all that are for one.
            UnavailableError: All are taken, or the caller has left.
        """
        sock = None if request.transport is None else request.transport.get_extra_info("socket")
        if sock is None:
            raise UnavailableError("its caller left")
        uid = peer_of(sock).uid
        if self._listeners[uid] >= MAX_STREAMS_PER_USER:
            raise QuotaError(
                f"A user may listen {MAX_STREAMS_PER_USER} times at once.",
                hint="End one of the others, such as another edgectl events.",
                limit="streams",
            )
        if self._listeners.total() >= MAX_STREAMS:
            raise UnavailableError(f"All {MAX_STREAMS} places for listeners are taken.")
        self._listeners[uid] += 1
        try:
            yield
        finally:
            self._listeners[uid] -= 1


def _notice(name: str) -> bytes:
    # Without data it would be no event at all.
    return f"event: {name}\ndata: {{}}\n\n".encode()


def _types(request: web.Request) -> frozenset[str]:
    unknown = request.query.keys() - _QUERY
    if unknown:
        raise RequestError(f"The query has no {min(unknown)}.", hint=f"It may have {' and '.join(sorted(_QUERY))}.")
    asked = request.query.getall("types", [])
    wanted = frozenset(word for text in asked for word in text.split(",")) if asked else frozenset(EVENT_TYPES)
    if wrong := wanted - frozenset(EVENT_TYPES):
        raise RequestError(f"There are no events of type {min(wrong)!r}.", hint=f"Types: {', '.join(EVENT_TYPES)}.")
    return wanted


def _follows(request: web.Request) -> bool:
    match request.query.getall("follow", ["true"]):
        case ["true"]:
            return True
        case ["false"]:
            return False
        case _:
            raise RequestError("follow is true or false, once.")
