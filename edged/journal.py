"""What edged tells the operator: events with an identity, fields beside the text, one place that knows the journal.

Under systemd, records go to the journal's native socket (systemd.io/JOURNAL_NATIVE_PROTOCOL) with their fields; elsewhere they are
lines on standard error. An event that an operator may act on is an ``Event`` with a message ID and an entry in
``systemd/edged.catalog``. Inputs, outputs and secrets are never fields.
"""

import logging
import os
import socket
import sys
from dataclasses import dataclass
from typing import Final

JOURNAL_SOCKET: Final = "/run/systemd/journal/socket"
_PRIORITIES: Final = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happens to a device and has a page in the catalog.

    Args:
        message_id: 128-bit identifier as 32 hexadecimal digits, made once (``systemd-id128 new``) and never reused.
        text: The fixed message; facts go into fields.
        level: A level of ``logging``.
    """

    message_id: str
    text: str
    level: int = logging.INFO


MODEL_STAGED: Final = Event(message_id="6d1f0c9be0f54b0aa2a54a6f0e2f7a01", text="Bundle verified and staged")
UPDATE_FAILED: Final = Event(
    message_id="6d1f0c9be0f54b0aa2a54a6f0e2f7a02", text="Update failed, active models untouched", level=logging.WARNING
)
MODEL_ACTIVATED: Final = Event(message_id="6d1f0c9be0f54b0aa2a54a6f0e2f7a03", text="Model activated")
MODEL_REFUSED: Final = Event(
    message_id="6d1f0c9be0f54b0aa2a54a6f0e2f7a04", text="Candidate refused", level=logging.ERROR
)
MODEL_ROLLED_BACK: Final = Event(
    message_id="6d1f0c9be0f54b0aa2a54a6f0e2f7a05", text="Trial failed, previous model active again", level=logging.ERROR
)
WORKER_LOST: Final = Event(
    message_id="6d1f0c9be0f54b0aa2a54a6f0e2f7a06", text="Worker lost and replaced", level=logging.WARNING
)
EGRESS_REFUSED: Final = Event(
    message_id="6d1f0c9be0f54b0aa2a54a6f0e2f7a07", text="Egress refused", level=logging.WARNING
)
REQUEST_REFUSED: Final = Event(
    message_id="6d1f0c9be0f54b0aa2a54a6f0e2f7a08",
    text="Request ended two workers and is refused for now",
    level=logging.WARNING,
)
UNITS_HIDDEN: Final = Event(
    message_id="6d1f0c9be0f54b0aa2a54a6f0e2f7a09",
    text="Limits of systemd units apply to nobody: units of callers cannot be known here",
    level=logging.WARNING,
)
EVENTS: Final = (
    MODEL_STAGED,
    UPDATE_FAILED,
    MODEL_ACTIVATED,
    MODEL_REFUSED,
    MODEL_ROLLED_BACK,
    WORKER_LOST,
    EGRESS_REFUSED,
    REQUEST_REFUSED,
    UNITS_HIDDEN,
)


def event(log: logging.Logger, what: Event, **fields: object) -> None:
    """Record an event with its fields; a field ``model`` becomes ``EDGED_MODEL`` in the journal."""
    log.log(what.level, what.text, extra={"edged_fields": fields, "edged_message_id": what.message_id})


def set_up(identifier: str, *, level: int = logging.INFO) -> None:
    """Send this process's log records to the journal when systemd started it, else to standard error."""
    handler: logging.Handler
    if "JOURNAL_STREAM" in os.environ and os.path.exists(JOURNAL_SOCKET):  # noqa: PTH110 - no Path needed for one probe
        handler = JournalHandler(identifier)
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(LineFormatter(identifier))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class LineFormatter(logging.Formatter):
    """One line a record: the text, then ``key=value`` for each field."""

    def __init__(self, identifier: str) -> None:
        super().__init__(f"%(asctime)s {identifier} %(levelname)s %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Render a record and its fields."""
        fields = getattr(record, "edged_fields", {})
        return super().format(record) + "".join(f" {key}={value}" for key, value in fields.items())


class JournalHandler(logging.Handler):
    """Send records to the journal's native socket, one datagram each."""

    def __init__(self, identifier: str, address: str = JOURNAL_SOCKET) -> None:
        super().__init__()
        # Level, time and origin are fields of the journal's own.
        self.setFormatter(logging.Formatter("%(message)s"))
        self._identifier = identifier
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; a journal that is away loses it, never the caller."""
        fields: dict[str, object] = getattr(record, "edged_fields", {})
        text = self.format(record) + "".join(f" {key}={value}" for key, value in fields.items())
        pairs: dict[str, object] = {
            "MESSAGE": text,
            "PRIORITY": _PRIORITIES.get(record.levelno, 6),
            "SYSLOG_IDENTIFIER": self._identifier,
            "CODE_MODULE": record.name,
        }
        if message_id := getattr(record, "edged_message_id", ""):
            pairs["MESSAGE_ID"] = message_id
        pairs.update({f"EDGED_{key.upper()}": value for key, value in fields.items()})
        try:
            self._socket.sendto(b"".join(_entry(key, str(value)) for key, value in pairs.items()), self._address)
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()


def _entry(key: str, value: str) -> bytes:
    data = value.encode()
    if b"\n" not in data:
        return key.encode() + b"=" + data + b"\n"
    return key.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
