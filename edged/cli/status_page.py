"""The page that ``edgectl status`` shows to a person. Pure."""

from datetime import UTC, datetime
from typing import Final

from edged.api.status import ModelStatus, SlotStatus, Status
from edged.cli.table import align, printable
from edged.update.phases import UpdateStatus

_STATES: Final = {
    "serving": "serving",
    "idle": "idle (no model yet)",
    "degraded": "degraded (a model is refused, failed or rolled back)",
}
_INDENT: Final = "  "


def render(status: Status, *, now_s: float) -> str:
    """Lay out the status document.

    Args:
        status: The document.
        now_s: Unix seconds, on the clock the document's times are from.
    """
    device = [("edged", status.edged), ("State", _STATES[status.state]), ("Up", duration(now_s - status.started_at))]
    blocks = [align(device), *(_model(model, now_s) for model in status.models), _update(status.update, now_s)]
    return "\n".join(block for block in blocks if block)


def duration(seconds: float) -> str:
    """Write a span of time with its two largest units; a clock that went back shows no time at all."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def size(count_bytes: int) -> str:
    """Write a number of bytes in decimal units."""
    value = float(count_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def _model(model: ModelStatus, now_s: float) -> str:
    title = f"Model {model.name}: {model.state}" + (", needs review" if model.needs_review else "")
    rows = [_slot(slot, model, now_s) for slot in model.slots]
    text = f"{title}\n" + align(rows, indent=_INDENT)
    if model.worker is not None:
        worker = model.worker
        pid = "being replaced" if worker.pid is None else worker.pid
        text += (
            f"{_INDENT}worker {pid}: {worker.requests} requests, {worker.failures} failed, {worker.restarts} restarts; "
            f"now {worker.queued} queued, {worker.running} running\n"
        )
        for reason in worker.unconfined:
            text += f"{_INDENT}sandbox incomplete: {printable(reason)}\n"
    for refusal in model.refused:
        text += f"{_INDENT}refused {refusal.version} {_ago(refusal.at, now_s)}: {printable(refusal.reason)}\n"
    return text


def _slot(slot: SlotStatus, model: ModelStatus, now_s: float) -> list[str]:
    mark = "active" if slot.slot == model.active else ""
    if slot.version is None:
        return [f"slot {slot.slot}", mark, slot.state]
    reason = f"({printable(slot.reason)})" if slot.reason else ""
    cells = [
        f"slot {slot.slot}",
        mark,
        slot.state,
        slot.version,
        slot.variant or "-",
        f"since {_ago(slot.changed_at, now_s)} {reason}",
    ]
    return [cell.rstrip() for cell in cells]


def _update(update: UpdateStatus | None, now_s: float) -> str:
    if update is None:
        return "Updates: edged-update has not reported since boot\n"
    rows = [("Repository", update.repository or "none set")]
    if update.progress is not None:
        done = update.progress
        rows.append(
            ("Download", f"{done.model} {done.version}: {size(done.received_bytes)} of {size(done.total_bytes)}")
        )
    rows.append(("Last success", "never" if update.last_success_at is None else _ago(update.last_success_at, now_s)))
    if update.next_poll_at is not None:
        rows.append(("Next poll", f"in {duration(update.next_poll_at - now_s)}"))
    if update.error is not None:
        error = update.error
        rows.append(("Error", f"{printable(error.message)} [{error.code}], {error.failures} in a row"))
        if error.hint:
            rows.append(("Hint", printable(error.hint)))
    return f"Updates: {update.phase}\n" + align(rows, indent=_INDENT)


def _ago(at_s: float, now_s: float) -> str:
    if at_s > now_s + 1:
        # The clock was set back since; the moment itself is still a fact.
        return datetime.fromtimestamp(at_s, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{duration(now_s - at_s)} ago"
