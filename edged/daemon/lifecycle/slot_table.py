"""What is kept of every model, in memory and on the disk: changed together, with the updater told before and the journal after."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

from edged import journal
from edged.clock import Clock
from edged.daemon.lifecycle.slot_changes import Change, Kept, Move, plan_lift, plan_move, plan_refusal, plan_variant
from edged.errors import StoreError
from edged.ids import Digest, ModelName, SlotName
from edged.store.history import Entry, Happening
from edged.store.in_use import InUseFile
from edged.store.kept import KeptTrial, Place, Refused
from edged.store.slots import Content, Slots
from edged.store.state import StateDb

LOG = logging.getLogger(__name__)

_EVENTS: Final = {
    Happening.SLOT_MOVED: journal.SLOT_MOVED,
    Happening.REFUSED: journal.MODEL_REFUSED,
    Happening.REFUSAL_LIFTED: journal.REFUSAL_LIFTED,
    Happening.ROLLED_BACK: journal.MODEL_ROLLED_BACK,
}


class SlotTable:
    """What is in the slots, what is on trial, and what this device turned down.

    Every change is whole: where a caller is cancelled, it has changed nothing or everything. Changes wait for each other.

    Args:
        state: Where it is kept.
        clock: Wall clock of the records.
        in_use: Where the updater is told which versions the slots name, before they do.
    """

    def __init__(self, state: StateDb, clock: Clock, *, in_use: Path) -> None:
        self._state = state
        self._clock = clock
        self._turn = asyncio.Lock()
        self._slots = state.read_slots()
        self._refused = dict(state.read_refusals())
        self._trials = state.read_trials()
        self._in_use = InUseFile(in_use, self._slots)

    def __getitem__(self, model: ModelName) -> Slots:
        return self._slots.get(model, Slots())

    @property
    def models(self) -> Mapping[ModelName, Slots]:
        """The slots of every model that ever had one."""
        return self._slots

    @property
    def refused(self) -> Mapping[Digest, Refused]:
        """What this device turned down, by manifest digest."""
        return self._refused

    @property
    def trials(self) -> Mapping[Place, KeptTrial]:
        """The candidate or trial in each slot that has one."""
        return self._trials

    def trial(self, model: ModelName) -> KeptTrial | None:
        """Return the trial of a model's active version; None when it has none."""
        name = self[model].active
        return None if name is None else self._trials.get((model, name))

    async def move(self, model: ModelName, move: Move) -> None:
        """Move one slot; durable when this returns.

        Raises:
            MoveRefusedError: The table has no such move.
            StoreError: The disk refused; nothing changed.
        """
        await self._change(model, lambda kept, now_s: plan_move(kept, move, now_unix_s=now_s))

    async def refuse(self, model: ModelName, content: Content, *, cause: str, reason: str) -> None:
        """Turn down a bundle that is in no slot.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        await self._change(
            model, lambda kept, now_s: plan_refusal(kept, content, cause=cause, reason=reason, now_unix_s=now_s)
        )

    async def note_variant(self, model: ModelName, digest: Digest, variant: str) -> None:
        """Keep which variant of the active version answers, so that a restart begins with it.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        slot = self[model].active_slot
        content = None if slot is None else slot.content
        if content is not None and content.digest == digest and content.variant != variant:
            await self._change(model, lambda kept, _: plan_variant(kept, digest, variant))

    async def lift(self, model: ModelName, digests: Collection[Digest], *, cause: str) -> None:
        """Turn bundles of a model down no longer.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        refused = {digest: self._refused[digest] for digest in digests}
        await self._change(model, lambda kept, now_s: plan_lift(kept, refused, cause=cause, now_unix_s=now_s))

    async def write_trials(self, trials: Mapping[Place, KeptTrial]) -> None:
        """Bring what is kept of some candidates and trials up to date, where they are not over.

        Raises:
            StoreError: The disk refused; nothing changed.
        """

        async def write() -> None:
            async with self._turn:
                known = {
                    place: trial
                    for place, trial in trials.items()
                    if place in self._trials and self._trials[place].digest == trial.digest
                }
                await asyncio.to_thread(self._state.write_trials, known)
                self._trials.update(known)

        await _whole(write())

    async def note(self, entry: Entry) -> None:
        """Keep something that happened and changed nothing of what is kept here.

        Raises:
            StoreError: The disk refused.
        """
        await asyncio.to_thread(self._state.write_history, entry)

    def history(self, *, model: str, limit: int) -> list[Entry]:
        """Return what happened, newest first; an empty ``model`` means all."""
        return self._state.read_history(model=model, limit=limit)

    async def _change(self, model: ModelName, plan: Callable[[Kept, float], Change]) -> None:
        async def make() -> None:
            async with self._turn:
                # Planned when its turn has come: another change may have come first.
                kept = Kept(model=model, slots=self[model], trials=_of(self._trials, model))
                change = plan(kept, self._clock.unix_s())
                # In a thread: a commit waits for the disk.
                await asyncio.to_thread(self._write, model, change)
                self._take(model, change)
            for entry in change.entries:
                _tell(entry)

        await _whole(make())

    def _write(self, model: ModelName, change: Change) -> None:
        self._in_use.begin(model, change.slots)
        try:
            self._state.write_model(
                model,
                change.slots,
                trials=change.trials,
                entries=change.entries,
                refused=change.refused,
                lifted=change.lifted,
            )
        except StoreError:
            self._in_use.end(model, self[model])
            raise
        self._in_use.end(model, change.slots)

    def _take(self, model: ModelName, change: Change) -> None:
        self._slots[model] = change.slots
        others = {place: trial for place, trial in self._trials.items() if place[0] != model}
        self._trials = others | {(model, name): trial for name, trial in change.trials.items()}
        for digest in change.lifted:
            self._refused.pop(digest, None)
        if change.refused is not None:
            self._refused[change.refused.digest] = change.refused


def _of(trials: Mapping[Place, KeptTrial], model: ModelName) -> Mapping[SlotName, KeptTrial]:
    return {name: trial for (owner, name), trial in trials.items() if owner == model}


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """Do something to its end, also when whoever waits for it is cancelled."""
    await asyncio.shield(asyncio.create_task(work))


def _tell(entry: Entry) -> None:
    """Say in the journal what was written into the history."""
    fields = {"model": entry.model, "version": entry.version, "slot": entry.slot, "cause": entry.cause}
    journal.event(
        LOG, _EVENTS[entry.what], **{key: value for key, value in fields.items() if value}, reason=entry.reason
    )
