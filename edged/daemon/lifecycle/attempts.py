"""Takes the version that a rollout names to activation, as far as it is allowed to go.

One candidate goes through these steps; each is one move of ``edged.store.slots`` and durable before the next begins, so whatever ends the
daemon anywhere leaves a slot table from which ``Lifecycle.boot`` goes on:

(1) write began     the candidate's name is in the spare slot
(2) write verified  every file it needs was hashed from disk
(3) window          it waits until it may disturb the device
(4) validation      a disposable worker loads it and answers the validation kit as the golden outputs say
(5) shadow          if that is asked for, it is asked what the active version has answered (``edged.daemon.lifecycle.shadows``); the window
                    may close meanwhile, because apps ask outside of it, too
(6) window          it waits once more, if the window has closed again meanwhile
(7) activated       a fresh worker serves it (``edged.daemon.lifecycle.handover``); its trial begins (``edged.daemon.lifecycle.trials``)

A candidate that fails (4) or (5) is refused by digest and not tried again by itself. What the device may have caused instead (the disk at
(2), no process) is tried again later. One that the rollout no longer names, or that is stopped, goes no further. A version in the
fallback slot takes over at once, without waiting: it is proven, and who goes back has a reason. Of all models one at a time does what is
heavy; being in the shadow is not.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from edged.activation.candidate import last_resorts
from edged.api.documents.status import CandidateStatus
from edged.bundle.read import InstalledBundle
from edged.daemon.lifecycle.advice import QuietWindow
from edged.daemon.lifecycle.answering import Answering
from edged.daemon.lifecycle.arrivals import Arrivals
from edged.daemon.lifecycle.blame import is_candidates_fault
from edged.daemon.lifecycle.handover import Handover
from edged.daemon.lifecycle.shadows import Shadows
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.lifecycle.trials import Check, Trials
from edged.daemon.lifecycle.wishes import Wishes
from edged.daemon.serving.keeper import Loadable, StartWorker
from edged.daemon.serving.serving import Serving
from edged.errors import StoreError
from edged.ids import Digest, ModelName, SlotName, Version
from edged.store.slots import CANDIDATE_STATES, SlotEvent, SlotState


@dataclass(frozen=True, slots=True)
class _Ends:
    """How a test of a candidate can end badly."""

    failed: SlotEvent
    interrupted: SlotEvent


_TESTS: Final = {
    SlotState.VALIDATION: _Ends(SlotEvent.VALIDATION_FAILED, SlotEvent.VALIDATION_INTERRUPTED),
    SlotState.SHADOW: _Ends(SlotEvent.SHADOW_FAILED, SlotEvent.SHADOW_INTERRUPTED),
}


class Attempts:
    """Tries what should run and does not.

    Args:
        arrivals: Find and write candidates.
        table: The slots.
        serving: Told what to serve.
        answering: Holds the turns of models, and loads what is in slots.
        handover: Activates what has come to (7).
        shadows: Do (5).
        trials: Take over at (7).
        wishes: What should run, and may.
        window: Asked before a candidate disturbs the device.
        start_worker: Starts the disposable workers.
        check: Runs the validation kit.
        beat: Called at every sign of progress.
    """

    def __init__(
        self,
        *,
        arrivals: Arrivals,
        table: SlotTable,
        serving: Serving,
        answering: Answering,
        handover: Handover,
        shadows: Shadows,
        trials: Trials,
        wishes: Wishes,
        window: QuietWindow,
        start_worker: StartWorker,
        check: Check,
        beat: Callable[[], None],
    ) -> None:
        self._arrivals = arrivals
        self._table = table
        self._serving = serving
        self._answering = answering
        self._handover = handover
        self._shadows = shadows
        self._trials = trials
        self._wishes = wishes
        self._window = window
        self._start_worker = start_worker
        self._check = check
        self._beat = beat
        self._heavy = asyncio.Lock()
        self._waits: dict[ModelName, tuple[str, ...]] = {}
        """What the candidate of each model waits for."""
        self._validated: dict[ModelName, Digest] = {}
        """What passed its kit in this life of the daemon and is not active yet."""
        self._compared: dict[ModelName, Digest] = {}
        """What needs no shadow run any more, likewise."""

    def status(self, model: ModelName) -> CandidateStatus | None:
        """Tell what a model's candidate waits for; None when it has none."""
        slots = self._table[model]
        slot = slots[slots.spare]
        if slot.content is None or slot.state not in CANDIDATE_STATES:
            return None
        return CandidateStatus(
            version=str(slot.content.version),
            waiting_for=self._waits.get(model, ()),
            since=slot.changed_unix_s,
            shadow=self._shadows.status(model),
        )

    async def look(self, model: ModelName) -> None:
        """Do what can be done now for one model.

        Raises:
            StoreError: The disk refused a move; it is tried again later.
        """
        wanted, slots, step = self._wishes.wanted(model), self._table[model], self._wishes.next_step(model)
        if slots[slots.spare].state is SlotState.SHADOW and await self._stays_in_shadow(model):
            return
        if wanted is not None and step.action == "switch":
            await self._switch(model)
        elif wanted is not None and step.action in {"try", "leave"}:
            await self._try(model, wanted)
        else:
            self._forget(model)
            await self._abandon(model)
        for version in self._resorts(model):
            if self._table[model].active is None:
                await self._try(model, version, is_resort=True)

    def has_nothing_to_do(self, model: ModelName) -> bool:
        """Tell whether ``look`` has nothing to do for a model until somebody wants something else."""
        return self._wishes.next_step(model).action == "stay" and not self._resorts(model)

    def _resorts(self, model: ModelName) -> Sequence[Version]:
        """Return what is to be tried because nothing answers."""
        slots = self._table[model]
        versions = [slot.content.version for slot in (slots.a, slots.b) if slot.content is not None]
        return list(last_resorts(slots, self._wishes.terms(model, versions)))

    async def _switch(self, model: ModelName) -> bool:
        """Activate the version in the fallback slot; tells whether it answers now."""
        answers = await self._handover.go_back(model, cause=self._wishes.cause_for(model))
        if answers:
            self._be_through(model)
        return answers

    async def _abandon(self, model: ModelName) -> None:
        """Empty the slot of a candidate that nobody wants any more; the store need not keep it."""
        slots = self._table[model]
        if slots.active is not None and slots[slots.spare].state is SlotState.READY:
            await self._move(model, slots.spare, SlotEvent.ABANDONED, reason="it is no longer wanted")

    async def _try(self, model: ModelName, version: Version, *, is_resort: bool = False) -> None:
        """Take one candidate through the steps."""
        loadable = await self._arrivals.find(model, version)
        if loadable is None or not await self._make_room(model):
            return
        try:
            await self._write(loadable)
            if self._must_wait(model, version, is_resort=is_resort):  # (3)
                return
            async with self._heavy:
                # Asked anew: it may have waited long for this turn.
                is_wanted = is_resort or self._wishes.is_wanted(model, version)
                if is_wanted and not self._must_wait(model, version, is_resort=is_resort):
                    await self._validate_and_load(loadable, is_resort=is_resort)
        except Exception as exc:  # noqa: BLE001 - whatever a candidate does, the daemon and the other models go on
            await self._give_up(loadable.bundle, exc)
        else:
            await self._trials.look(model)

    async def _make_room(self, model: ModelName) -> bool:
        """Leave a trial that nobody wants to see the end of, so that the fallback is safe; tells whether the spare slot is free."""
        return self._wishes.next_step(model).action != "leave" or await self._switch(model)

    async def _write(self, loadable: Loadable) -> None:
        """See to it that the spare slot holds a candidate, complete."""
        if not self._arrivals.is_written(loadable):
            model = loadable.bundle.manifest.model
            self._validated.pop(model, None)
            self._compared.pop(model, None)
            await self._arrivals.write(loadable, turn=self._heavy)  # (1), (2)

    def _must_wait(self, model: ModelName, version: Version, *, is_resort: bool) -> bool:
        """Ask the window, and remember what it says. With nothing that answers there is nothing to disturb."""
        is_alone = is_resort or self._table[model].active is None
        reasons = () if is_alone else tuple(self._window.reasons_to_wait(model, version))
        self._waits[model] = reasons
        return bool(reasons)

    async def _validate_and_load(self, loadable: Loadable, *, is_resort: bool) -> None:
        bundle = loadable.bundle
        model, version, spare = bundle.manifest.model, bundle.manifest.semver, self._table[bundle.manifest.model].spare
        await self._move(model, spare, SlotEvent.VALIDATION_BEGAN)
        if self._validated.get(model) != bundle.digest:
            await self._validate(loadable)  # (4)
            self._validated[model] = bundle.digest
        if not is_resort and not self._wishes.is_wanted(model, version):
            await self._move(model, spare, SlotEvent.VALIDATION_INTERRUPTED, reason="it is no longer wanted")
        elif not is_resort and await self._goes_into_shadow(loadable):
            self._waits[model] = ()
        elif self._must_wait(model, version, is_resort=is_resort):  # (6)
            await self._move(model, spare, SlotEvent.VALIDATION_INTERRUPTED, reason="the quiet window closed")
        else:
            await self._load_and_activate(loadable)

    async def _goes_into_shadow(self, loadable: Loadable) -> bool:  # (5)
        """Begin the shadow run of a candidate that needs one; tells whether it has one now."""
        model, digest = loadable.bundle.manifest.model, loadable.bundle.digest
        if self._compared.get(model) == digest or not self._shadows.is_asked_for(loadable):
            return False
        if not await self._shadows.begin(loadable):
            self._compared[model] = digest
            return False
        await self._move(model, self._table[model].spare, SlotEvent.SHADOW_BEGAN)
        await self._shadows.note_beginning(loadable)
        return True

    async def _stays_in_shadow(self, model: ModelName) -> bool:
        """Look after a candidate in the shadow; tells whether there is nothing more to do for its model now."""
        loadable, spare = self._shadows.running(model), self._table[model].spare
        if loadable is None or not self._wishes.is_wanted(model, loadable.bundle.manifest.semver):
            await self._shadows.end(model)
            reason = "interrupted" if loadable is None else "it is no longer wanted"
            await self._move(model, spare, SlotEvent.SHADOW_INTERRUPTED, reason=reason)
            return False
        try:
            if await self._shadows.look(model):
                await self._leave_shadow(loadable)
        except StoreError:
            raise  # A disk that refuses says nothing of the candidate, which goes on meanwhile.
        except Exception as exc:  # noqa: BLE001 - whatever a candidate does, the daemon and the other models go on
            await self._give_up(loadable.bundle, exc)
        return True

    async def _leave_shadow(self, loadable: Loadable) -> None:
        """Take a candidate that has done well in the shadow further."""
        model, version = loadable.bundle.manifest.model, loadable.bundle.manifest.semver
        self._compared[model] = loadable.bundle.digest
        await self._shadows.end(model)
        async with self._heavy:
            # Not before: while it waited for this turn, it may have been stopped, or the window may have closed.
            reason = ""
            if not self._wishes.is_wanted(model, version):
                reason = "it is no longer wanted"
            elif self._must_wait(model, version, is_resort=False):  # (6)
                reason = "the quiet window closed"
            if reason:
                await self._move(model, self._table[model].spare, SlotEvent.SHADOW_INTERRUPTED, reason=reason)
                return
            await self._load_and_activate(loadable)
        await self._trials.look(model)

    async def _load_and_activate(self, loadable: Loadable) -> None:  # (7)
        model = loadable.bundle.manifest.model
        served = await self._serving.load(loadable)
        async with self._answering.turn(model):
            spare, baseline = self._table[model].spare, self._trials.record(model)
            cause = self._wishes.cause_for(model)
            move = Move(slot=spare, what=SlotEvent.ACTIVATED, cause=cause, baseline=baseline)
            await self._handover.activate(model, move, served)
        self._be_through(model)

    async def _validate(self, loadable: Loadable) -> None:
        self._beat()
        worker = await self._start_worker(loadable, None)
        self._beat()
        try:
            await self._check(loadable, worker)
        finally:
            await worker.close()

    async def _give_up(self, bundle: InstalledBundle, why: Exception) -> None:
        """Turn a candidate down for good if it is to blame, else set it aside for a while."""
        model, spare = bundle.manifest.model, self._table[bundle.manifest.model].spare
        state = self._table[model][spare].state
        await self._shadows.end(model)
        if state in _TESTS and is_candidates_fault(why):
            self._forget(model)
            await self._move(model, spare, _TESTS[state].failed, reason=str(why), refuse=True)
            return
        self._arrivals.set_aside(model, bundle.manifest.semver, why)
        if state is SlotState.WRITING:  # hashed wrong, or not readable: the disk's fault, not the publisher's
            await self._move(model, spare, SlotEvent.WRITE_FAILED, reason=str(why))
        elif state in _TESTS:
            await self._move(model, spare, _TESTS[state].interrupted, reason=str(why))

    async def _move(
        self,
        model: ModelName,
        slot: SlotName,
        what: SlotEvent,
        *,
        reason: str = "",
        refuse: bool = False,
    ) -> None:
        move = Move(slot=slot, what=what, cause=self._wishes.cause_for(model), reason=reason, refuse=refuse)
        await self._table.move(model, move)

    def _forget(self, model: ModelName) -> None:
        """A model has no candidate that waits."""
        self._validated.pop(model, None)
        self._compared.pop(model, None)
        if self._waits.pop(model, None) is not None:
            self._window.forget(model)

    def _be_through(self, model: ModelName) -> None:
        """A version of a model was activated."""
        self._forget(model)
        self._window.forget(model)  # also if an operator opened it for a version that asked nothing
