"""The status document, put together from what the parts know."""

from collections.abc import Callable, Sequence
from pathlib import Path

from edged import __version__
from edged.api.documents.background import BackgroundStatus
from edged.api.documents.decisions import DecisionStatus
from edged.api.documents.status import (
    DeviceState,
    DeviceStatus,
    ModelState,
    ModelStatus,
    Refusal,
    RefusedReload,
    RolloutStatus,
    SlotStatus,
    Status,
    StopStatus,
    VariantStatus,
    WorkerStatus,
)
from edged.daemon.lifecycle.advice import Orders
from edged.daemon.lifecycle.lifecycle import Lifecycle
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.served import Served
from edged.daemon.serving.serving import Serving
from edged.errors import EdgedError
from edged.ids import ModelName, SlotName, Version
from edged.ops.segments import Device
from edged.store.slots import Slot, Slots, SlotState
from edged.update.protocol.phases import UpdateStatus
from edged.update.protocol.status_file import read_status


class Report:
    """Fulfils ``edged.api.ports.StatusSource``.

    Args:
        table: The slots.
        serving: What is served.
        lifecycle: How candidates and trials are doing.
        orders: What the fleet's documents mean here.
        device: Who this is; without an ID, nobody in particular.
        variants: Returns the variants of a model's active version.
        decision: Returns what becomes of requests for a model that somebody waits for.
        background: Returns the background requests of a model that are kept.
        refused_policies: Returns what is wrong with policies that were not taken.
        refused_reload: Returns the last reload, where it was refused.
        update_status: The file edged-update reports in.
        started_at: Unix seconds when the daemon started.
    """

    def __init__(
        self,
        *,
        table: SlotTable,
        serving: Serving,
        lifecycle: Lifecycle,
        orders: Orders,
        device: Device,
        variants: Callable[[ModelName], Sequence[VariantStatus]],
        decision: Callable[[str], DecisionStatus | None],
        background: Callable[[str], BackgroundStatus | None],
        refused_policies: Callable[[], Sequence[str]],
        refused_reload: Callable[[], RefusedReload | None],
        update_status: Path,
        started_at: float,
    ) -> None:
        self._table = table
        self._serving = serving
        self._lifecycle = lifecycle
        self._orders = orders
        self._device = device
        self._variants = variants
        self._decision = decision
        self._background = background
        self._refused_policies = refused_policies
        self._refused_reload = refused_reload
        self._update_status = update_status
        self._started_at = started_at

    def status(self) -> Status:
        """Return the state of the device right now."""
        models = tuple(map(self._model, self._models()))
        return Status(
            edged=__version__,
            state=_state(models),
            started_at=self._started_at,
            models=models,
            update=_read_update_status(self._update_status),
            device=_device(self._device),
            refused_policies=tuple(self._refused_policies()),
            refused_reload=self._refused_reload(),
        )

    def reviews(self) -> dict[str, bool]:
        """Return for each model whether somebody has to look at what became of its last version."""
        return {model: self._needs_review(model) for model in self._models()}

    def _models(self) -> list[ModelName]:
        refused = {item.model for item in self._table.refused.values()}
        return sorted({*self._table.models, *refused, *self._orders.models})

    def _needs_review(self, model: ModelName) -> bool:
        refused = [item.version for item in self._table.refused.values() if item.model == model]
        return bool(refused) and not _is_newer_good(self._table[model], max(refused))

    def _model(self, model: ModelName) -> ModelStatus:
        slots = self._table[model]
        served = self._serving.served.get(model)
        refused = [refused for refused in self._table.refused.values() if refused.model == model]
        stand_in = self._serving.stand_ins.get(model)
        variants = tuple(self._variants(model))
        is_loading = any(variant.requests_wait for variant in variants)
        return ModelStatus(
            name=model,
            state=self._state_of(model, slots, None if is_loading else served, is_refused=bool(refused)),
            active=slots.active,
            slots=tuple(_slot(name, slots[name]) for name in ("a", "b")),
            refused=tuple(
                Refusal(version=str(item.version), digest=item.digest, reason=item.reason, at=item.at_unix_s)
                for item in refused
            ),
            worker=None if served is None else _worker(served, running=self._serving.running(served)),
            needs_review=self._needs_review(model),
            rollout=self._rollout(model, slots),
            candidate=self._lifecycle.attempts.status(model),
            trial=self._lifecycle.trials.status(model),
            stop=self._stop(model, slots),
            fallback=None if stand_in is None else stand_in.words,
            variants=variants,
            decision=self._decision(model),
            background=self._background(model),
        )

    def _state_of(self, model: ModelName, slots: Slots, served: Served | None, *, is_refused: bool) -> ModelState:
        if model in self._serving.stand_ins:
            return "fallback"
        if self._serving.is_held(model):
            return "stopped"
        if served is not None:
            return "serving" if served.worker is not None else "failed"
        if slots.active is not None:
            return "loading"
        if is_refused:
            return "refused"
        return "absent" if SlotState.BAD not in {slots.a.state, slots.b.state} else "failed"

    def _rollout(self, model: ModelName, slots: Slots) -> RolloutStatus | None:
        decision = self._orders.decision(model, active=_active_version(slots))
        if decision is None:
            return None
        floor = self._orders.floor(model)
        return RolloutStatus(
            version=None if decision.run is None else str(decision.run),
            rule=decision.rule,
            reason=decision.reason,
            floor=None if floor is None else str(floor),
        )

    def _stop(self, model: ModelName, slots: Slots) -> StopStatus | None:
        version = _active_version(slots)
        stopped = None if version is None else self._orders.stopped(model, version)
        if stopped is None:
            return None
        return StopStatus(reason=stopped.reason, since=stopped.since, action=stopped.action, source=stopped.source)


def _state(models: tuple[ModelStatus, ...]) -> DeviceState:
    if any(model.needs_review or model.state not in {"serving", "absent"} for model in models):
        return "degraded"
    return "serving" if any(model.state == "serving" for model in models) else "idle"


def _device(device: Device) -> DeviceStatus | None:
    return DeviceStatus(id=device.id, arch=device.arch, labels=dict(device.labels)) if device.id else None


def _active_version(slots: Slots) -> Version | None:
    return None if slots.active_slot is None or slots.active_slot.content is None else slots.active_slot.content.version


def _is_newer_good(slots: Slots, refused: Version) -> bool:
    """A review is over when a version above the refused one has proven itself."""
    active = _active_version(slots)
    is_good = slots.active_slot is not None and slots.active_slot.state is SlotState.GOOD
    return is_good and active is not None and active > refused


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
        requests=served.demand.requests + served.demand.lent_requests,
        failures=served.demand.failures + served.demand.lent_failures,
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
