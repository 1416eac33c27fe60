"""Has candidates run in the shadow of active versions, and says what came of it (``edged.activation.shadow``).

Rules:

(1) asked for   by ``[shadow]`` of the device, by the fleet's policy, or by the rollout: whichever asks for most
(2) skipped     where there is nothing to compare with (nothing answers, or something else does in the model's place), where two versions
                need more memory than is there to spare, and as soon as one of these is so: the candidate goes on without
(3) time        counts while the daemon runs, over its restarts, written every ``WRITE_EVERY_S``. What was found begins anew with each
(4) room        a worker that was lost is replaced until it is one too many

A candidate that is not wanted any more, or a daemon that stops, ends the run. Its worker never answers an app: when the run has passed, a
fresh one is activated.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from edged import journal
from edged.activation.shadow import ShadowRules, judge, stricter
from edged.activation.trial import TrialRules
from edged.api.documents.status import ShadowStatus
from edged.clock import Clock
from edged.config.schema import ServeConfig
from edged.daemon.lifecycle.advice import Orders
from edged.daemon.lifecycle.handover import STANDBY_SHARE, Handover
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.keeper import Loadable, StartWorker
from edged.daemon.serving.served import Served
from edged.daemon.serving.serving import Serving
from edged.daemon.shadow.run import ShadowRun
from edged.errors import ShadowFailedError
from edged.ids import ModelName, Version
from edged.store.history import Entry, Happening
from edged.telemetry.shadow import ShadowStats

LOG = logging.getLogger(__name__)

WRITE_EVERY_S: Final = 60.0
"""Between two notes of how long a candidate was in the shadow."""
CAUSE: Final = "shadow"
"""For the history."""
_EVENTS: Final = {
    Happening.SHADOW_BEGAN: journal.SHADOW_BEGAN,
    Happening.SHADOW_PASSED: journal.SHADOW_PASSED,
    Happening.SHADOW_FAILED: journal.SHADOW_FAILED,
    Happening.SHADOW_SKIPPED: journal.SHADOW_SKIPPED,
}


@dataclass(slots=True)
class _Watch:
    """One run, and how long it has been going on."""

    run: ShadowRun
    age_s: float
    """Over the daemon's restarts."""
    seen_s: float
    """Monotonic seconds of the last look."""
    written_s: float
    """Of ``age_s``, what is on the disk."""
    began_unix_s: float
    reason: str = "it has just begun"


class Shadows:
    """The shadow run of every model that has one.

    Args:
        table: The slots.
        serving: What is served.
        handover: Knows how much memory there is.
        orders: Asked for the fleet's rules.
        start_worker: Starts workers that give way to all others.
        rules: Returns the device's rules in force.
        limits: Returns what is allowed in a trial.
        serve: Returns the limits of requests.
        clock: Monotonic, and the wall clock of the records.
    """

    def __init__(
        self,
        *,
        table: SlotTable,
        serving: Serving,
        handover: Handover,
        orders: Orders,
        start_worker: StartWorker,
        rules: Callable[[], ShadowRules],
        limits: Callable[[], TrialRules],
        serve: Callable[[], ServeConfig],
        clock: Clock,
    ) -> None:
        self._table = table
        self._serving = serving
        self._handover = handover
        self._orders = orders
        self._start_worker = start_worker
        self._own_rules = rules
        self._limits = limits
        self._serve = serve
        self._clock = clock
        self._watches: dict[ModelName, _Watch] = {}
        self._stats: dict[ModelName, ShadowStats] = {}

    @property
    def stats(self) -> Mapping[ModelName, ShadowStats]:
        """What was counted of each model that has had a shadow run, since the daemon started."""
        return self._stats

    def rules(self, model: ModelName, version: Version) -> ShadowRules:
        """Return the rules in force for a candidate."""
        active = self._table[model].active_slot
        decision = self._orders.decision(
            model, active=None if active is None or active.content is None else active.content.version
        )
        share = decision.shadow if decision is not None and decision.run == version else 0.0
        return stricter(self._own_rules(), self._orders.shadow, share=share)

    def running(self, model: ModelName) -> Loadable | None:
        """Return the candidate that is in the shadow, if there is one."""
        watch = self._watches.get(model)
        return None if watch is None else watch.run.loadable

    def status(self, model: ModelName) -> ShadowStatus | None:
        """Tell how the shadow run of a model goes; None when it has none."""
        watch = self._watches.get(model)
        if watch is None:
            return None
        rules, found = self.rules(model, _version(watch.run.loadable)), watch.run.found
        active_ms, own_ms = found.p95_ms or (None, None)
        return ShadowStatus(
            reason=watch.reason,
            began_at=watch.began_unix_s,
            share=rules.share,
            requests=found.requests,
            failures=found.failures,
            agreed=found.agreed,
            agreement=found.agreement,
            shed=watch.run.shed,
            worker_losses=found.worker_losses,
            active_p95_ms=active_ms,
            p95_ms=own_ms,
            left_s=max(0.0, rules.max_s - watch.age_s),
        )

    def is_asked_for(self, loadable: Loadable) -> bool:
        """Tell whether a candidate has to run in the shadow: never where nothing is active."""
        model = loadable.bundle.manifest.model
        return bool(self.rules(model, _version(loadable)).share) and self._table[model].active is not None

    async def begin(self, loadable: Loadable) -> bool:
        """Have a validated candidate run in the shadow from now on, if that can be done; tells whether it does.

        Raises:
            StoreError: The disk refused to keep that it is skipped.
            EdgedError: As ``StartWorker``.
        """
        model, version = loadable.bundle.manifest.model, _version(loadable)
        if reason := self._obstacle(model, more_bytes=loadable.variant.budget.memory_bytes):
            await self._note(loadable, Happening.SHADOW_SKIPPED, reason)
            return False
        worker = await self._start_worker(loadable, None)
        trial = self._table.trials.get((model, self._table[model].spare))
        age_s = 0.0 if trial is None or trial.digest != loadable.bundle.digest else trial.watched_s
        run = ShadowRun(
            loadable,
            self._serving.variants(model),
            worker,
            share=self.rules(model, version).share,
            timeout_s=lambda: self._serve().request_timeout_s,
            is_busy=self._is_busy,
            idle_s=self._serving.idle_s,
            stats=self._stats.setdefault(model, ShadowStats()),
        )
        now_s, now_unix_s = self._clock.monotonic_s(), self._clock.unix_s()
        self._watches[model] = _Watch(run, age_s, seen_s=now_s, written_s=age_s, began_unix_s=now_unix_s)
        return True

    async def look(self, model: ModelName) -> bool:
        """Go on with the run of a model that has one, and judge it; tells whether the candidate may go further.

        Raises:
            ShadowFailedError: It must not.
            StoreError: The disk refused to keep something; it is tried again at the next look.
            EdgedError: As ``StartWorker``, for the worker in place of one that was lost.
        """
        watch = self._watches[model]
        loadable = watch.run.loadable
        rules, limits = self.rules(model, _version(loadable)), self._limits()
        reason = self._obstacle(model)
        if not rules.share:
            reason = "nobody asks for it any more"
        if reason:
            await self._note(loadable, Happening.SHADOW_SKIPPED, reason)
            return True
        watch.run.share = rules.share
        watch.run.follow(self._serving.variants(model))
        now_s = self._clock.monotonic_s()
        watch.age_s, watch.seen_s = watch.age_s + now_s - watch.seen_s, now_s
        is_lost = watch.run.notice_loss()
        budget_ms = loadable.variant.budget.latency_ms
        verdict = judge(rules, limits, age_s=watch.age_s, found=watch.run.found, budget_ms=budget_ms)
        watch.reason = verdict.reason
        match verdict.state:
            case "passed":
                await self._note(loadable, Happening.SHADOW_PASSED, verdict.reason)
                return True
            case "failed":
                await self._note(loadable, Happening.SHADOW_FAILED, verdict.reason)
                raise ShadowFailedError(verdict.reason)
            case "goes-on":
                if is_lost:
                    await watch.run.go_on_with(await self._start_worker(loadable, None))
                if watch.age_s - watch.written_s >= WRITE_EVERY_S:
                    await self._keep_time(model, watch)
                return False

    async def note_beginning(self, loadable: Loadable) -> None:
        """Keep that a run has begun.

        Raises:
            StoreError: The disk refused.
        """
        rules = self.rules(loadable.bundle.manifest.model, _version(loadable))
        reason = f"{rules.share * 100:.4g} % of the requests, for {rules.min_s:g} to {rules.max_s:g} s"
        await self._note(loadable, Happening.SHADOW_BEGAN, reason)

    async def end(self, model: ModelName) -> None:
        """End the run of a model, if it has one."""
        watch = self._watches.pop(model, None)
        if watch is not None:
            await watch.run.close()

    async def end_all(self) -> None:
        """End every run, and keep how long each went on.

        Raises:
            StoreError: The disk refused; they are ended all the same.
        """
        watches, self._watches = self._watches, {}
        for watch in watches.values():
            await watch.run.close()
        for model, watch in watches.items():
            await self._keep_time(model, watch)

    def _obstacle(self, model: ModelName, *, more_bytes: int = 0) -> str:  # (2)
        """Say why a candidate cannot run in the shadow of what answers; empty when it can."""
        if model not in self._serving.served or self._serving.is_held(model) or model in self._serving.stand_ins:
            return "the active version does not answer, so there is nothing to compare with"
        if not self._handover.is_roomy(more_bytes=more_bytes):
            return f"with two versions loaded, less than a {STANDBY_SHARE}th of the memory would be available"
        return ""

    def _is_busy(self, served: Served) -> bool:
        return bool(served.queued or self._serving.running(served))

    async def _keep_time(self, model: ModelName, watch: _Watch) -> None:
        place = model, self._table[model].spare
        trial = self._table.trials.get(place)
        if trial is not None and trial.digest == watch.run.loadable.bundle.digest:
            await self._table.write_trials({place: replace(trial, watched_s=watch.age_s)})
            watch.written_s = watch.age_s

    async def _note(self, loadable: Loadable, what: Happening, reason: str) -> None:
        model, version = loadable.bundle.manifest.model, str(_version(loadable))
        entry = Entry(at=self._clock.unix_s(), what=what, model=model, version=version, cause=CAUSE, reason=reason)
        await self._table.note(entry)
        journal.event(LOG, _EVENTS[what], model=model, version=version, cause=CAUSE, reason=reason)


def _version(loadable: Loadable) -> Version:
    return loadable.bundle.manifest.semver
