"""Takes the version that a rollout names to activation, as far as it is allowed to go.

One candidate goes through these steps; each is one move of ``edged.store.slots`` and durable before the next begins, so whatever ends the
daemon anywhere leaves a slot table from which ``Lifecycle.boot`` goes on:

(1) write began     the candidate's name is in the spare slot
(2) write verified  every file it needs was hashed from disk
(3) window          it waits until it may disturb the device
(4) validation      a disposable worker loads it and answers the validation kit as the golden outputs say
(5) window          it waits once more, if the window has closed again meanwhile
(6) activated       a fresh worker serves it; its trial begins (``edged.daemon.lifecycle.trials``). The version before stands by, still
                    loaded, if after that at least one part in ``STANDBY_SHARE`` of the device's memory is available; else it is
                    loaded again from the disk should it be needed.

A candidate that fails (4) is refused by digest and not tried again by itself. What the device may have caused instead (the disk at (2), no
process) is tried again later. One that the rollout no longer names, or that is stopped, goes no further. A version in the fallback slot
takes over at once, without waiting: it is proven, and who goes back has a reason. Of all models one at a time does what is heavy.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from edged import journal
from edged.activation.candidate import last_resorts
from edged.api.status import CandidateStatus
from edged.bundle.read import InstalledBundle, keep_bundle, read_bundle, verify_files
from edged.daemon.lifecycle.advice import QuietWindow
from edged.daemon.lifecycle.answering import Answering
from edged.daemon.lifecycle.blame import is_candidates_fault
from edged.daemon.lifecycle.rests import RETRY_AFTER_S, Rests
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.lifecycle.trials import Check, Trials
from edged.daemon.lifecycle.wishes import Wishes
from edged.daemon.serving.keeper import Loadable, StartWorker
from edged.daemon.serving.served import Served
from edged.daemon.serving.serving import Serving
from edged.errors import EdgedError, IncompatibleError
from edged.ids import Digest, ModelName, SlotName, Version
from edged.select.machine import Machine
from edged.select.matcher import choose_variant
from edged.store.layout import StoreLayout
from edged.store.slots import CANDIDATE_STATES, Content, SlotEvent, SlotState

LOG = logging.getLogger(__name__)

STANDBY_SHARE: Final = 10


class Attempts:
    """Tries what should run and does not.

    Args:
        layout: The bundle store; only read.
        table: The slots.
        serving: Told what to serve.
        answering: Holds the turns of models, and loads what is in slots.
        trials: Take over at (6).
        wishes: What should run, and may.
        window: Asked before a candidate disturbs the device.
        machine: What variants are matched against.
        available_bytes: Returns the memory that is available now.
        start_worker: Starts the disposable workers.
        check: Runs the validation kit.
        rests: Of what is tried again.
        beat: Called at every sign of progress.
    """

    def __init__(
        self,
        *,
        layout: StoreLayout,
        table: SlotTable,
        serving: Serving,
        answering: Answering,
        trials: Trials,
        wishes: Wishes,
        window: QuietWindow,
        machine: Machine,
        available_bytes: Callable[[], int],
        start_worker: StartWorker,
        check: Check,
        rests: Rests,
        beat: Callable[[], None],
    ) -> None:
        self._layout = layout
        self._table = table
        self._serving = serving
        self._answering = answering
        self._trials = trials
        self._wishes = wishes
        self._window = window
        self._machine = machine
        self._available_bytes = available_bytes
        self._start_worker = start_worker
        self._check = check
        self._rests = rests
        self._beat = beat
        self._heavy = asyncio.Lock()
        self._waits: dict[ModelName, tuple[str, ...]] = {}
        """What the candidate of each model waits for."""
        self._validated: dict[ModelName, Digest] = {}
        """What passed its kit in this life of the daemon and is not active yet."""

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
        )

    async def look(self, model: ModelName) -> None:
        """Do what can be done now for one model.

        Raises:
            StoreError: The disk refused a move; it is tried again later.
        """
        wanted, slots, step = self._wishes.wanted(model), self._table[model], self._wishes.next_step(model)
        if wanted is not None and step.action == "switch":
            await self._switch(model)
        elif wanted is not None and step.action in {"try", "leave"}:
            await self._try(model, wanted)
        else:
            self._forget(model)
            await self._abandon(model)
        resorts = [slot.content.version for slot in (slots.a, slots.b) if slot.content is not None]
        for version in list(last_resorts(self._table[model], self._wishes.terms(model, resorts))):
            if self._table[model].active is None:
                await self._try(model, version, is_resort=True)

    async def _switch(self, model: ModelName) -> bool:
        """Activate the version in the fallback slot; tells whether it answers now."""
        async with self._answering.turn(model):
            name = self._table[model].fallback
            if name is None or self._rests.is_resting("try", model, name):
                return False
            move = Move(slot=name, what=SlotEvent.ACTIVATED, cause=self._wishes.cause)
            if self._answering.stands_by(model, self._table[model][name]):
                await self._table.move(model, move)
                if self._serving.put_back(model):
                    return True
            try:
                served = await self._answering.load_slot(model, name)
            except Exception as exc:  # noqa: BLE001 - whatever a version does, the daemon and the other models go on
                LOG.warning("Fallback slot %s of %s cannot be served: %s", name, model, exc)
                self._rests.begin("try", model, name)
                return False
            await self._activate(model, move, served)
            return True

    async def _abandon(self, model: ModelName) -> None:
        """Empty the slot of a candidate that nobody wants any more; the store need not keep it."""
        slots = self._table[model]
        if slots.active is not None and slots[slots.spare].state is SlotState.READY:
            await self._move(model, slots.spare, SlotEvent.ABANDONED, reason="it is no longer wanted")

    async def _try(self, model: ModelName, version: Version, *, is_resort: bool = False) -> None:
        """Take one candidate through the steps."""
        loadable = None if self._rests.is_resting("try", model, version) else await self._find(model, version)
        if loadable is None or not await self._make_room(model):
            return
        try:
            await self._write(loadable)
            if self._must_wait(model, version, is_resort=is_resort):  # (3)
                return
            async with self._heavy:
                if is_resort or self._wishes.is_wanted(model, version):
                    await self._validate_and_load(loadable, is_resort=is_resort)
        except Exception as exc:  # noqa: BLE001 - whatever a candidate does, the daemon and the other models go on
            await self._give_up(loadable.bundle, exc)
        else:
            await self._trials.look(model)

    async def _find(self, model: ModelName, version: Version) -> Loadable | None:
        """Look for a version in the store, and for the variant of it that this device runs."""
        try:
            bundle = read_bundle(self._layout.bundle(model, version))
        except FileNotFoundError:
            return None  # the updater has not finished with it
        except (EdgedError, OSError) as exc:
            self._set_aside(model, version, exc)
            return None
        try:
            variant = choose_variant(bundle.manifest, self._machine, present=bundle.variants).variant
        except IncompatibleError as exc:
            content = Content(version=version, digest=bundle.digest, variant="")
            await self._table.refuse(model, content, cause=self._wishes.cause, reason=exc.message)
            return None
        return Loadable(bundle=bundle, variant=variant)

    async def _make_room(self, model: ModelName) -> bool:
        """Leave a trial that nobody wants to see the end of, so that the fallback is safe; tells whether the spare slot is free."""
        return self._wishes.next_step(model).action != "leave" or await self._switch(model)

    async def _write(self, loadable: Loadable) -> None:
        """See to it that the spare slot holds a candidate, complete."""
        bundle, variant = loadable.bundle, loadable.variant
        model, spare = bundle.manifest.model, self._table[bundle.manifest.model].spare
        content = Content(version=bundle.manifest.semver, digest=bundle.digest, variant=variant.id)
        slot = self._table[model][spare]
        if slot.content == content and slot.state is SlotState.READY:
            return
        self._validated.pop(model, None)
        await self._move(model, spare, SlotEvent.WRITE_BEGAN, content=content)  # (1)
        async with self._heavy:
            # Before it is relied on: the updater may have been ended, or cut off, right before it did so.
            await asyncio.to_thread(keep_bundle, bundle, top=self._layout.root)
            files = bundle.manifest.files_for([variant])
            await asyncio.to_thread(verify_files, bundle, files, progress=self._beat)
        await self._move(model, spare, SlotEvent.WRITE_VERIFIED)  # (2)

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
        elif self._must_wait(model, version, is_resort=is_resort):  # (5)
            await self._move(model, spare, SlotEvent.VALIDATION_INTERRUPTED, reason="the quiet window closed")
        else:
            served = await self._serving.load(loadable)
            async with self._answering.turn(model):
                baseline = self._trials.record(model)
                move = Move(slot=spare, what=SlotEvent.ACTIVATED, cause=self._wishes.cause, baseline=baseline)
                await self._activate(model, move, served)  # (6)

    async def _validate(self, loadable: Loadable) -> None:
        self._beat()
        worker = await self._start_worker(loadable, None)
        self._beat()
        try:
            await self._check(loadable, worker)
        finally:
            await worker.close()

    async def _activate(self, model: ModelName, move: Move, served: Served) -> None:
        try:
            await self._table.move(model, move)
        except BaseException:
            await served.close()
            raise
        slots = self._table[model]
        is_roomy = self._available_bytes() * STANDBY_SHARE >= self._machine.memory_bytes
        is_trial = slots[move.slot].state is SlotState.TRIAL
        self._serving.put(served, keeps_before=is_trial and is_roomy and slots.fallback is not None)
        self._forget(model)
        self._window.forget(model)  # also if an operator opened it for a version that asked nothing
        manifest, variant = served.loadable.bundle.manifest, served.loadable.variant
        journal.event(
            LOG, journal.MODEL_ACTIVATED, model=model, version=manifest.version, slot=move.slot, variant=variant.id,
            cause=move.cause,
        )  # fmt: skip

    async def _give_up(self, bundle: InstalledBundle, why: Exception) -> None:
        """Turn a candidate down for good if it is to blame, else set it aside for a while."""
        model, spare = bundle.manifest.model, self._table[bundle.manifest.model].spare
        state = self._table[model][spare].state
        if state is SlotState.VALIDATION and is_candidates_fault(why):
            self._forget(model)
            await self._move(model, spare, SlotEvent.VALIDATION_FAILED, reason=str(why), refuse=True)
            return
        self._set_aside(model, bundle.manifest.semver, why)
        if state is SlotState.WRITING:  # hashed wrong, or not readable: the disk's fault, not the publisher's
            await self._move(model, spare, SlotEvent.WRITE_FAILED, reason=str(why))
        elif state is SlotState.VALIDATION:
            await self._move(model, spare, SlotEvent.VALIDATION_INTERRUPTED, reason=str(why))

    async def _move(
        self,
        model: ModelName,
        slot: SlotName,
        what: SlotEvent,
        *,
        reason: str = "",
        content: Content | None = None,
        refuse: bool = False,
    ) -> None:
        move = Move(slot=slot, what=what, cause=self._wishes.cause, reason=reason, content=content, refuse=refuse)
        await self._table.move(model, move)

    def _set_aside(self, model: ModelName, version: Version, why: Exception) -> None:
        LOG.warning("Candidate %s %s set aside for %g s: %s", model, version, RETRY_AFTER_S, why)
        self._rests.begin("try", model, version)

    def _forget(self, model: ModelName) -> None:
        """A model has no candidate that waits."""
        self._validated.pop(model, None)
        if self._waits.pop(model, None) is not None:
            self._window.forget(model)
