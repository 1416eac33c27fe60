"""Read ``/edged/v1/events`` for edgectl: server-sent events, over connections that come and go.

A stream that ends is asked for again with the ID of the last event that was read, so that nothing is lost as long as the daemon remembers;
where it does not, it says so itself (``missed``).
"""

import http.client
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edged.api.documents.events import EVENTS_PATH
from edged.cli.http import UnixConnection
from edged.errors import DaemonUnreachableError, EdgedError, NotPermittedError, UnavailableError
from edged.problems import error_from_body

SILENCE_S: Final = 60.0
"""The daemon says something four times in this time; a stream that is silent for longer is dead."""
RETRY_S: Final = 1.0
GIVE_UP_AFTER_S: Final = 60.0
"""Without an answer of the daemon."""
MAX_LINE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """One event as it came."""

    type: str
    id: str
    """Empty for what the daemon says of the stream itself: ``missed``, ``dropped``, ``stopping``."""
    data: str
    """JSON."""


class EventStream:
    """Events, one after the other.

    Args:
        socket_path: The daemon's.
        types: Only these; empty means all.
        since: The ID of the last event that is known; empty begins with what comes next.
        follows: Whether to wait for more, and to come back when the stream ends.
    """

    def __init__(self, socket_path: str, *, types: str = "", since: str = "", follows: bool = True) -> None:
        self._socket_path = socket_path
        self._types = types
        self._since = since
        self._follows = follows
        self._heard_s: float | None = None
        """When the last stream ended."""

    def __iter__(self) -> Iterator[StreamEvent]:
        """Read until the stream ends; where it follows, for ever.

        Raises:
            DaemonUnreachableError: Nothing answers at the socket; after a stream that ended, not within ``GIVE_UP_AFTER_S``.
            NotPermittedError: This user may not open the socket.
            EdgedError: What the daemon answered, as the class it has there.
        """
        while True:
            try:
                yield from self._once()
            except (DaemonUnreachableError, UnavailableError):
                has_heard = self._heard_s is not None and time.monotonic() - self._heard_s < GIVE_UP_AFTER_S
                if not (self._follows and has_heard):
                    raise
            if not self._follows:
                return
            time.sleep(RETRY_S)

    def _once(self) -> Iterator[StreamEvent]:
        """Read one stream to its end."""
        connection = UnixConnection(self._socket_path, timeout_s=SILENCE_S)
        try:
            response = self._open(connection)
            try:
                for event in _events(response):
                    self._since = event.id or self._since
                    yield event
            finally:
                self._heard_s = time.monotonic()
        except PermissionError as exc:
            raise NotPermittedError(f"This user may not open {self._socket_path}.") from exc
        except (OSError, http.client.HTTPException) as exc:
            raise DaemonUnreachableError(f"The daemon does not answer at {self._socket_path}: {exc}.") from exc
        finally:
            connection.close()

    def _open(self, connection: UnixConnection) -> http.client.HTTPResponse:
        query = {"follow": str(self._follows).lower()} | ({"types": self._types} if self._types else {})
        headers = {"Last-Event-ID": self._since} if self._since else {}
        connection.request("GET", f"{EVENTS_PATH}?{urllib.parse.urlencode(query)}", headers=headers)
        response = connection.getresponse()
        if response.status >= 400:
            raise error_from_body(response.status, response.read(MAX_LINE_BYTES))
        return response


def _events(response: http.client.HTTPResponse) -> Iterator[StreamEvent]:
    """Cut a stream into events (HTML Living Standard, section 9.2.6); comments and unknown fields are dropped."""
    fields: dict[str, str] = {}
    while line := response.readline(MAX_LINE_BYTES):
        if not line.endswith(b"\n"):
            if len(line) == MAX_LINE_BYTES:
                raise EdgedError(f"The daemon sent an event of more than {MAX_LINE_BYTES} bytes.")
            return  # cut off in the middle
        name, _, value = line.decode("utf-8", "replace").rstrip("\n").partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
        elif line == b"\n":
            if "data" in fields:
                yield StreamEvent(type=fields.get("event", ""), id=fields.get("id", ""), data=fields["data"])
            fields = {}
