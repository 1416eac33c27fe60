"""Watches versions on trial, and makes them good or turns them down.

A trial goes like this, and takes up where it was after a restart:

(1) kit      the version that now answers apps runs its validation kit once more; failing it is failing the trial
(2) watched  what becomes of the requests of apps is counted from then on, and judged by ``edged.activation.trial``
(3) good     the version before ends its standing by, and is the fallback on the disk from now on
    failed   it is turned down, and the version before answers again at once

Time counts only while the daemon runs and the version has a worker and may answer: neither a device that is off nor a model that is
stopped proves anything. One that has had no worker for ``WITHOUT_WORKER_S`` has failed. Time and counts are kept over restarts: written
every ``WRITE_EVERY_S``, within ``TROUBLE_EVERY_S`` when what may speak against the version has grown by a quarter, and at the end.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final

from edged.activation.trial import TrialRules, Verdict, judge, stricter
from edged.api.documents.status import TrialStatus
from edged.clock import Clock
from edged.daemon.lifecycle.advice import Orders
from edged.daemon.lifecycle.answering import MOST_TRIES, Answering
from edged.daemon.lifecycle.blame import is_active_models_fault
from edged.daemon.lifecycle.records import Mark, record_of
from edged.daemon.lifecycle.rests import RETRY_AFTER_S, Rests
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.served import Served
from edged.daemon.serving.serving import Serving
from edged.ids import ModelName, SlotName
from edged.store.kept import Counts, Record
from edged.store.slots import Slot, SlotEvent, SlotState
from edged.validation.validate import Infers

LOG = logging.getLogger(__name__)

WRITE_EVERY_S: Final = 60.0
"""Between two notes of how long a version was watched; each costs a flash memory some life."""
TROUBLE_EVERY_S: Final = 5.0
"""Between two notes of what speaks against a version, so that a daemon that is ended by it does not forget it."""

WITHOUT_WORKER_S: Final = 300.0
"""How long a version on trial may be without a worker because none can be started."""

Check = Callable[[Loadable, Infers], Awaitable[None]]
"""Holds a loaded model against its validation kit; raises what is wrong."""


@dataclass(slots=True)
class _Watch:
    """One version that answers, since when it is watched and what was seen."""

    served: Served
    mark: Mark
    watched_s: float = 0.0
    seen_s: float = 0.0
    """Monotonic seconds of the last look."""
    without_worker_s: float = 0.0
    """Since it last had one."""
    written_s: float = 0.0
    """Of ``watched_s``, what is on the disk."""
    before: Counts = field(default_factory=Counts)
    """What was seen until ``mark``, in earlier lives of the daemon."""
    written_troubles: int = 0
    """Of what speaks against it, what is on the disk."""
    is_checked: bool = False
    """It passed its kit while it answered."""
    reason: str = "its validation kit runs"


class Trials:
    """Judges the trial of every model that has one.

    Args:
        table: The slots.
        serving: What is served, and what it counts.
        answering: Turns versions down.
        orders: Asked for the fleet's rules and for stops.
        check: Runs the validation kit.
        rules: Returns the device's rules in force.
        clock: Monotonic.
        rests: Of what is tried again.
    """

    def __init__(
        self,
        *,
        table: SlotTable,
        serving: Serving,
        answering: Answering,
        orders: Orders,
        check: Check,
        rules: Callable[[], TrialRules],
        clock: Clock,
        rests: Rests,
    ) -> None:
        self._table = table
        self._serving = serving
        self._answering = answering
        self._orders = orders
        self._check = check
        self._own_rules = rules
        self._clock = clock
        self._rests = rests
        self._watches: dict[ModelName, _Watch] = {}

    @property
    def rules(self) -> TrialRules:
        """The rules in force: the device's and the fleet's, whichever are stricter."""
        return stricter(self._own_rules(), self._orders.trial)

    def record(self, model: ModelName) -> Record | None:
        """Return what the version that answers has done so far; None when none does."""
        watch = self._watch(model)
        return None if watch is None else self._record(model, watch)

    def status(self, model: ModelName) -> TrialStatus | None:
        """Tell how the trial of a model goes; None when it has none."""
        slot, trial = self._table[model].active_slot, self._table.trial(model)
        if slot is None or slot.state is not SlotState.TRIAL or trial is None:
            return None
        watch = self._watches.get(model)
        reason = "it is being loaded" if watch is None else watch.reason
        return TrialStatus(reason=reason, began_at=trial.began_unix_s)

    async def look(self, model: ModelName) -> None:
        """Go on with the trial of a model, if it has one and its version answers.

        Raises:
            StoreError: The disk refused a move; it is tried again at the next look.
        """
        name, slot, watch = self._table[model].active, self._table[model].active_slot, self._watch(model)
        if name is None or slot is None or watch is None or slot.state is not SlotState.TRIAL:
            return
        if not watch.is_checked:
            await self._run_kit(model, slot, watch)
        if watch.is_checked:
            self._count_time(model, watch)
            verdict = self._judge(model, watch)
            watch.reason = verdict.reason
            await self._follow(model, name, slot, watch, verdict)

    async def write_down(self) -> None:
        """Keep how long each version was watched so far, and what was seen.

        Raises:
            StoreError: The disk refused.
        """
        for model, watch in self._watches.items():
            await self._keep(model, watch)

    def _watch(self, model: ModelName) -> _Watch | None:
        """Return the watch of the version that answers; a new one when that is another than before."""
        served, stats = self._serving.served.get(model), self._serving.stats(model)
        if served is None or stats is None:
            self._watches.pop(model, None)
            return None
        watch = self._watches.get(model)
        if watch is not None and watch.served.loadable.bundle.digest == served.loadable.bundle.digest:
            watch.served = served  # perhaps in another variant, which had to pass its kit before it answered
        else:
            trial = self._table.trial(model)
            watch = _Watch(served, Mark.of(stats), seen_s=self._clock.monotonic_s())
            if trial is not None and trial.digest == served.loadable.bundle.digest:
                watch.watched_s = watch.written_s = trial.watched_s
                watch.before, watch.written_troubles = trial.seen, trial.seen.troubles
            self._watches[model] = watch
        return watch

    def _seen(self, model: ModelName, watch: _Watch) -> Counts:
        stats = self._serving.stats(model)
        return watch.before if stats is None else watch.before.plus(Mark.of(stats).since(watch.mark))

    def _record(self, model: ModelName, watch: _Watch) -> Record:
        stats = self._serving.stats(model)
        return Record() if stats is None else record_of(self._seen(model, watch), stats.request_duration_s.fine_bounds)

    async def _run_kit(self, model: ModelName, slot: Slot, watch: _Watch) -> None:  # (1)
        if self._rests.is_resting("trial", model):
            return
        try:
            await self._check(watch.served.loadable, watch.served)
        except Exception as exc:  # noqa: BLE001 - whatever a version does, the daemon and the other models go on
            is_fault = is_active_models_fault(exc)
            if not is_fault and self._rests.begin("trial", model) < MOST_TRIES:
                LOG.warning("Trial of %s goes on in %g s: %s", model, RETRY_AFTER_S, exc)
                watch.reason = f"its validation kit could not be run: {exc}"
                return
            self._rests.end("trial", model)
            await self._answering.turn_down(model, slot, cause="trial", reason=str(exc), refuse=is_fault)
        else:
            self._rests.end("trial", model)
            watch.is_checked = True
            watch.seen_s = self._clock.monotonic_s()
            if (stats := self._serving.stats(model)) is not None:
                watch.mark = Mark.of(stats)  # what the kit did is not what apps did

    def _count_time(self, model: ModelName, watch: _Watch) -> None:
        now_s = self._clock.monotonic_s()
        passed_s, watch.seen_s = now_s - watch.seen_s, now_s
        if watch.served.worker is None:
            watch.without_worker_s += passed_s
            return
        watch.without_worker_s = 0.0
        if self._orders.stopped(model, watch.served.loadable.bundle.manifest.semver) is None:
            watch.watched_s += passed_s

    def _judge(self, model: ModelName, watch: _Watch) -> Verdict:  # (2)
        if watch.without_worker_s > WITHOUT_WORKER_S:
            return Verdict(state="failed", reason=f"no worker could be started: {watch.served.start_error}")
        trial = self._table.trial(model)
        loadable = watch.served.loadable
        version = loadable.bundle.manifest.semver
        decision = self._orders.decision(model, active=version)
        return judge(
            self.rules,
            soak_s=decision.soak_s if decision is not None and decision.run == version else 0.0,
            age_s=watch.watched_s,
            new=self._record(model, watch),
            old=None if trial is None else trial.baseline,
            budget_ms=loadable.variant.budget.latency_ms,
        )

    async def _follow(self, model: ModelName, name: SlotName, slot: Slot, watch: _Watch, verdict: Verdict) -> None:
        match verdict.state:
            case "goes-on":
                # By a quarter, because a few failures all the time are no news that is worth a flash memory's life.
                has_trouble = self._seen(model, watch).troubles > watch.written_troubles * 1.25
                if watch.watched_s - watch.written_s >= (TROUBLE_EVERY_S if has_trouble else WRITE_EVERY_S):
                    await self._keep(model, watch)
            case "failed":  # (3)
                await self._answering.turn_down(model, slot, cause="trial", reason=verdict.reason)
            case "good":
                async with self._answering.turn(model):
                    if self._table[model][name] == slot:
                        move = Move(slot=name, what=SlotEvent.HEALTH_PASSED, cause="trial", reason=verdict.reason)
                        await self._table.move(model, move)
                        self._serving.end_standby(model)

    async def _keep(self, model: ModelName, watch: _Watch) -> None:
        name, trial = self._table[model].active, self._table.trial(model)
        if name is not None and trial is not None and trial.digest == watch.served.loadable.bundle.digest:
            watched_s, seen = watch.watched_s, self._seen(model, watch)
            await self._table.write_trials({(model, name): replace(trial, watched_s=watched_s, seen=seen)})
            watch.written_s, watch.written_troubles = watched_s, seen.troubles
