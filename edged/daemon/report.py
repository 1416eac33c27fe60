"""The status document, put together from what the parts know."""

from pathlib import Path

from edged import __version__
from edged.api.status import DeviceState, ModelState, ModelStatus, Refusal, SlotStatus, Status, WorkerStatus
from edged.daemon.served import Served
from edged.daemon.serving import Serving
from edged.daemon.slot_table import SlotTable
from edged.errors import EdgedError
from edged.ids import ModelName, SlotName, Version
from edged.store.slots import Slot, Slots
from edged.update.phases import UpdateStatus
from edged.update.status_file import read_status


class Report:
    """Fulfils ``edged.api.ports.StatusSource``.

    Args:
        table: The slots.
        serving: What is served.
        update_status: The file edged-update reports in.
        started_at: Unix seconds when the daemon started.
    """

    def __init__(
        self,
        *,
        table: SlotTable,
        serving: Serving,
        update_status: Path,
        started_at: float,
    ) -> None:
        self._table = table
        self._serving = serving
        self._update_status = update_status
        self._started_at = started_at

    def status(self) -> Status:
        """Return the state of the device right now."""
        named = set(self._table.models) | {refused.model for refused in self._table.refused.values()}
        models = tuple(self._model(model) for model in sorted(named))
        return Status(
            edged=__version__,
            state=self._state(models),
            started_at=self._started_at,
            models=models,
            update=_read_update_status(self._update_status),
        )

    def _state(self, models: tuple[ModelStatus, ...]) -> DeviceState:
        if any(model.needs_review or model.state != "serving" for model in models):
            return "degraded"
        return "serving" if models else "idle"

    def _model(self, model: ModelName) -> ModelStatus:
        slots = self._table[model]
        served = self._serving.served.get(model)
        refused = [refused for refused in self._table.refused.values() if refused.model == model]
        newest = max((item.version for item in refused), default=None)
        return ModelStatus(
            name=model,
            state=_serving_state(slots, served, is_refused=bool(refused)),
            active=slots.active,
            slots=tuple(_slot(name, slots[name]) for name in ("a", "b")),
            refused=tuple(
                Refusal(version=str(item.version), digest=item.digest, reason=item.reason, at=item.at_unix_s)
                for item in refused
            ),
            worker=None if served is None else _worker(served, running=self._serving.running(served)),
            needs_review=newest is not None and not _is_newer_good(slots, newest),
        )


def _serving_state(slots: Slots, served: Served | None, *, is_refused: bool) -> ModelState:
    if served is not None:
        return "serving" if served.worker is not None else "failed"
    if slots.active is not None:
        return "loading"
    return "refused" if is_refused else "failed"


def _is_newer_good(slots: Slots, refused: Version) -> bool:
    """A review is over when a version above the refused one has proven itself."""
    active = slots.active_slot
    return active is not None and active.content is not None and active.content.version > refused


def _slot(name: SlotName, slot: Slot) -> SlotStatus:
    content = slot.content
    return SlotStatus(
        slot=name,
        state=slot.state,
        version=None if content is None else str(content.version),
        digest=None if content is None else content.digest,
        variant=None if content is None else content.variant,
        reason=slot.reason or None,
        changed_at=slot.changed_unix_s,
    )


def _worker(served: Served, *, running: int) -> WorkerStatus:
    worker = served.worker
    return WorkerStatus(
        pid=None if worker is None else worker.pid,
        restarts=served.restarts,
        requests=served.requests + served.lent_requests,
        failures=served.failures + served.lent_failures,
        queued=served.queued,
        running=running,
        unconfined=() if worker is None else tuple(worker.unconfined),
    )


def _read_update_status(path: Path) -> UpdateStatus | None:
    try:
        return read_status(path)
    except (EdgedError, OSError):
        # It lives in /run, written by another process: never worth failing a status for.
        return None
