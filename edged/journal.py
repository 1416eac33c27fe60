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
    message_id="6d1f0c9be0f54b0aa2a54a6f0e2f7a05",
    text="Active version turned down, the one before it answers again",
    level=logging.ERROR,
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
VERSION_COLLECTED: Final = Event(message_id="f5686a72636fa3ea12bf1cf7bf887132", text="Version removed from the store")
SLOT_MOVED: Final = Event(message_id="0ff1f64e4904788848b0f22d96a3c08c", text="Slot moved")
REFUSAL_LIFTED: Final = Event(message_id="b74b13c8ffefa791f611554a03607137", text="Refusal lifted")
WINDOW_OPENED: Final = Event(message_id="90888aa30d22ce03b9d429c16e8226b9", text="Quiet window opened by an operator")
SHADOW_BEGAN: Final = Event(message_id="a455efa3c2b5b018db9664bd57ea3f0b", text="Candidate runs in the shadow")
SHADOW_PASSED: Final = Event(
    message_id="74daa677bbe6ff70235c6a8ee0800112", text="Candidate was through with its shadow run"
)
SHADOW_FAILED: Final = Event(
    message_id="33e44354102006ab825cab1600a7069f", text="Candidate failed in the shadow", level=logging.ERROR
)
SHADOW_SKIPPED: Final = Event(
    message_id="6aefad962d445589759c101e48c73a4c",
    text="Candidate goes on without its shadow run",
    level=logging.WARNING,
)
VARIANT_SWITCHED: Final = Event(message_id="4027a4f1d6e1650ee6dd07b7dd65600b", text="Another variant answers")
DOCUMENT_TAKEN: Final = Event(message_id="b8469cdc96d8e0460801334e6e332307", text="Document of the fleet taken")
DOCUMENT_REFUSED: Final = Event(
    message_id="33454f11e354d413c65a5e84019a3648",
    text="Document of the fleet cannot be read, the last good one stays in force",
    level=logging.WARNING,
)
FLAG_CHANGED: Final = Event(message_id="bd95b12cbedee6006305cda12ac69051", text="Feature flag has another value here")
MODEL_STOPPED: Final = Event(
    message_id="c663b72963e2559d60ef4882c7e73531",
    text="Model stopped by its publisher",
    level=logging.WARNING,
)
MODEL_STOP_LIFTED: Final = Event(message_id="d87e87ba59e5c14aa714c30d36ae0c72", text="Stop of a model lifted")
LEASE_EXPIRED: Final = Event(
    message_id="f1e6275b037cb57080f15ac939ff9094",
    text="Lease of a model has run out",
    level=logging.WARNING,
)
LEASE_RENEWED: Final = Event(message_id="cf3e5620b08712f20d0f9e21c91ab83a", text="Lease of a model renewed")
MODEL_FELL_BACK: Final = Event(
    message_id="de8727cc41d12e2f4b0e8dc0c6cbaec0",
    text="Something else answers in a model's place",
    level=logging.WARNING,
)
MODEL_ANSWERS_AGAIN: Final = Event(message_id="1dc4c12f2c339747c3a65849398f96f5", text="Model answers again")
UPDATE_ASKED: Final = Event(message_id="5b2c1e0d7f5d4b1c9c36c8d3f2b7a4e6", text="Somebody asks for an update")
OFFLOADED: Final = Event(message_id="e69ad59def8e5a6bf2f2e27da7dc1b0d", text="Request answered outside of this device")
ENDPOINT_RESTS: Final = Event(
    message_id="eb848158f79fae049035055d9c843295",
    text="Endpoint of a model gave no usable answers, and is left alone for a while",
    level=logging.WARNING,
)
ENDPOINT_ANSWERS: Final = Event(message_id="be9d65c471c3c4be237bf658ddacbe34", text="Endpoint of a model answers again")
POLICY_IN_FORCE: Final = Event(message_id="a61bc752e1408cdda4232d5acda5c324", text="Policy in force")
POLICY_REFUSED: Final = Event(
    message_id="e28ed9dfa8a3061d9cc62d78fe63210a",
    text="Policy refused, the last good one stays in force",
    level=logging.ERROR,
)
POLICY_OVERRIDDEN: Final = Event(
    message_id="e834036bd1e7a45dffb11eb6fb49e2ee",
    text="Policy overridden by an operator",
    level=logging.WARNING,
)
POLICY_OVERRIDE_ENDED: Final = Event(message_id="8dc2f70b399825a5f44acee9d73491fe", text="Override of the policy ended")
MODEL_DECIDED: Final = Event(message_id="21b66065771d01258cd5bc5c8fe4f521", text="Requests are decided otherwise")
DECISIONS_UNSTEADY: Final = Event(
    message_id="2aab4a3c7d62bad8aa5036640c6cc204",
    text="Requests are decided otherwise too often to be told each time",
    level=logging.WARNING,
)
HEAT_ROSE: Final = Event(
    message_id="3ee09ce42a41abbba597fd5b328d3038",
    text="Device has become so hot that policies may act",
    level=logging.WARNING,
)
HEAT_CHANGED: Final = Event(message_id="0dba7a14882c9d13075a5b6bb2903981", text="Thermal level changed")
POWER_CHANGED: Final = Event(message_id="e1b3e9e1cc86dc274064d48f3be038ff", text="Device runs on something else")
SENSOR_DOUBTED: Final = Event(
    message_id="13c05941303dfcce07ca3dbc5925da8b", text="Sensor is not believed", level=logging.WARNING
)
SENSOR_BELIEVED: Final = Event(message_id="66161dc337d2c83c97bc5b7ee1b34541", text="Sensor is believed again")
READING_UNSTEADY: Final = Event(
    message_id="73542c630bd01b5f3311363e476f36d9",
    text="What the device says of itself changes too often to be told each time",
    level=logging.WARNING,
)
EVENTS: Final = (
    MODEL_DECIDED,
    DECISIONS_UNSTEADY,
    POLICY_IN_FORCE,
    POLICY_REFUSED,
    POLICY_OVERRIDDEN,
    POLICY_OVERRIDE_ENDED,
    OFFLOADED,
    ENDPOINT_RESTS,
    ENDPOINT_ANSWERS,
    MODEL_STAGED,
    UPDATE_FAILED,
    MODEL_ACTIVATED,
    MODEL_REFUSED,
    MODEL_ROLLED_BACK,
    WORKER_LOST,
    EGRESS_REFUSED,
    REQUEST_REFUSED,
    UNITS_HIDDEN,
    SLOT_MOVED,
    REFUSAL_LIFTED,
    WINDOW_OPENED,
    SHADOW_BEGAN,
    SHADOW_PASSED,
    SHADOW_FAILED,
    SHADOW_SKIPPED,
    VERSION_COLLECTED,
    UPDATE_ASKED,
    HEAT_ROSE,
    HEAT_CHANGED,
    POWER_CHANGED,
    SENSOR_DOUBTED,
    SENSOR_BELIEVED,
    READING_UNSTEADY,
    VARIANT_SWITCHED,
    DOCUMENT_TAKEN,
    DOCUMENT_REFUSED,
    FLAG_CHANGED,
    MODEL_STOPPED,
    MODEL_STOP_LIFTED,
    LEASE_EXPIRED,
    LEASE_RENEWED,
    MODEL_FELL_BACK,
    MODEL_ANSWERS_AGAIN,
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
    # A name of a file is bytes, and what of it is no UTF-8 is written as escapes.
    data = value.encode(errors="backslashreplace")
    if b"\n" not in data:
        return key.encode() + b"=" + data + b"\n"
    return key.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
