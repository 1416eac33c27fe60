"""Events as ``edgectl events`` shows them to a person: a line each. Pure."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final

from edged.api.documents.context import ContextDocument
from edged.api.documents.decisions import DecisionChange
from edged.cli.event_stream import StreamEvent
from edged.cli.table import printable
from edged.cli.words import duration
from edged.codec import decode_json
from edged.errors import DocumentError
from edged.store.history import Entry
from edged.update.protocol.phases import UpdateStatus

_OF_STREAM: Final[Mapping[str, str]] = {
    "missed": "events from before are not known any more",
    "dropped": "this reader was too slow; it goes on with what is still known",
    "stopping": "the daemon stops",
}
_SHOWN: Final = ("thermal", "power", "battery_percent", "throttled", "link", "metered", "accelerators", "regulatory")


def line(event: StreamEvent, *, now_s: float) -> str:
    """Write an event on one line, local time.

    Args:
        event: As it came.
        now_s: When it came, Unix seconds.
    """
    at_s, words = now_s, _OF_STREAM.get(event.type, event.data)
    if (read := _READERS.get(event.type)) is not None:
        # What another version of the daemon says otherwise is shown as it came.
        with suppress(DocumentError):
            at_s, words = read(event.data.encode())
    when = datetime.fromtimestamp(at_s).astimezone().strftime("%H:%M:%S")
    return printable(f"{when}  {event.type:<8}  {words}")


def _context(data: bytes) -> tuple[float, str]:
    document = decode_json(ContextDocument, data, source="event")
    words = [
        f"{name}={'unknown' if quantity.value is None else _plain(quantity.value)}"
        for name in _SHOWN
        if (quantity := document.quantities.get(name)) is not None
    ]
    return document.at, " ".join(words)


def _decision(data: bytes) -> tuple[float, str]:
    change = decode_json(DecisionChange, data, source="event")
    now = change.decision
    details = [
        f"variant {now.variant}" if now.variant else "",
        f"scale {now.scale:g}" if now.scale != 1 else "",
        f"again in {duration(now.retry_after_s)}" if now.retry_after_s else "",
    ]
    kind = f"{now.request} with consent" if now.consent else now.request
    subject = f"{now.model} {kind}: {now.action} by {now.rule} ({now.origin})"
    return change.at, ", ".join(filter(None, [subject, *details]))


def _entry(data: bytes) -> tuple[float, str]:
    entry = decode_json(Entry, data, source="event")
    subject = " ".join(part for part in (entry.model, entry.version, entry.slot) if part)
    words = [entry.what.replace("-", " "), subject, f"by {entry.cause}", f"({entry.reason})" if entry.reason else ""]
    return entry.at, " ".join(filter(None, words))


def _update(data: bytes) -> tuple[float, str]:
    status = decode_json(UpdateStatus, data, source="event")
    progress = "" if status.progress is None else f" {status.progress.model} {status.progress.version}"
    why = "" if status.error is None else f": {status.error.message}"
    return status.changed_at, f"{status.phase}{progress}{why}"


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


_READERS: Final[Mapping[str, Callable[[bytes], tuple[float, str]]]] = {
    "context": _context,
    "decision": _decision,
    "slot": _entry,
    "history": _entry,
    "update": _update,
}
