"""The page that ``edgectl status`` shows to a person. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

from edged.api.documents.status import DeviceStatus, ModelStatus, SlotStatus, Status
from edged.cli.decision_page import background_rows, decision_rows
from edged.cli.delivery_page import delivery_rows
from edged.cli.table import align, printable
from edged.cli.update_page import render_update
from edged.cli.variant_page import variant_rows
from edged.cli.words import ago, duration

_STATES: Final = {
    "serving": "serving",
    "idle": "idle (no model yet)",
    "degraded": "degraded (a model is refused, failed, stopped or rolled back)",
}
_INDENT: Final = "  "


def render(status: Status, *, now_s: float) -> str:
    """Lay out the status document.

    Args:
        status: The document.
        now_s: Unix seconds, on the clock the document's times are from.
    """
    blocks = [align(list(_device(status, now_s)))]
    blocks += _refused(status, now_s)
    blocks += [_model(model, now_s) for model in status.models]
    return "\n".join([*blocks, render_update(status.update, now_s=now_s)])


def _device(status: Status, now_s: float) -> Iterator[tuple[str, str]]:
    yield "edged", status.edged
    yield (
        "State",
        _STATES[status.state] + (", with settings or policies that are refused" if status.has_refusals else ""),
    )
    yield "Up", duration(now_s - status.started_at)
    if status.device is not None:
        yield "Device", _identity(status.device)


def _refused(status: Status, now_s: float) -> Iterator[str]:
    reload = status.refused_reload
    if reload is not None:
        yield f"Reload refused {ago(reload.at, now_s)}, so that settings are as before:\n{_lines(reload.problems)}"
    # A reload that was refused because of a policy has said so.
    policies = [line for line in status.refused_policies if reload is None or line not in reload.problems]
    if policies:
        yield f"Policies refused, so that the last good ones are in force:\n{_lines(policies)}"


def _lines(texts: Iterable[str]) -> str:
    return "".join(f"{_INDENT}{printable(text)}\n" for text in texts)


def _identity(device: DeviceStatus) -> str:
    labels = "".join(f", {name}={value}" for name, value in sorted(device.labels.items()))
    return printable(f"{device.id} ({device.arch}{labels})")


def _model(model: ModelStatus, now_s: float) -> str:
    title = f"Model {model.name}: {model.state}" + (", needs review" if model.needs_review else "")
    rows = [_slot(slot, model, now_s) for slot in model.slots]
    policy = [*decision_rows(model.decision), *background_rows(model.background)]
    text = (
        f"{title}\n"
        + align(rows, indent=_INDENT)
        + align([*delivery_rows(model, now_s), *variant_rows(model), *policy], indent=_INDENT)
    )
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
        text += f"{_INDENT}refused {refusal.version} {ago(refusal.at, now_s)}: {printable(refusal.reason)}\n"
    return text


def _slot(slot: SlotStatus, model: ModelStatus, now_s: float) -> list[str]:
    mark = "active" if slot.slot == model.active else ""
    if slot.version is None:
        return [f"slot {slot.slot}", mark, slot.state]
    reason = f"({printable(slot.reason)})" if slot.reason else ""
    # A policy may have another variant answer than the one that was activated.
    answering = next((variant.id for variant in model.variants if mark and variant.state == "answers"), slot.variant)
    cells = [
        f"slot {slot.slot}",
        mark,
        slot.state,
        slot.version,
        printable(answering or "-"),
        f"since {ago(slot.changed_at, now_s)} {reason}",
    ]
    return [cell.rstrip() for cell in cells]
