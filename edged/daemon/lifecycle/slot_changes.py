"""What one event means for everything that is kept of a model: its slots, its candidate or trial, its refusals and the history. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from edged.ids import Digest, ModelName, SlotName
from edged.store.history import Entry, Happening
from edged.store.kept import KeptTrial, Record, Refused
from edged.store.slots import CANDIDATE_STATES, Content, SlotEvent, Slots, SlotState

_KEPT_STATES: Final = CANDIDATE_STATES | {SlotState.TRIAL, SlotState.EMPTY}
"""Of what is in other slots nothing is kept: it is proven or turned down. An empty one may have had a candidate that is begun again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept of a model before an event."""

    model: ModelName
    slots: Slots
    trials: Mapping[SlotName, KeptTrial]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Everything about one model that becomes durable together."""

    slots: Slots
    trials: Mapping[SlotName, KeptTrial]
    entries: Sequence[Entry]
    refused: Refused | None = None
    lifted: Collection[Digest] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """An event that happens to one slot."""

    slot: SlotName
    what: SlotEvent
    cause: str
    """The document or person behind it; see ``edged.store.history``."""
    reason: str = ""
    """Why, for moves that end badly."""
    content: Content | None = None
    """The candidate, with WRITE_BEGAN only."""
    refuse: bool = False
    """This device will not try the slot's bundle again by itself."""
    may_fall_back: bool = True
    """The fallback may take over from an active slot that turns bad."""
    baseline: Record | None = None
    """What the version before did, with ACTIVATED."""


def plan_move(kept: Kept, move: Move, *, now_unix_s: float) -> Change:
    """Work out what a move makes of a model.

    Raises:
        MoveRefusedError: The table has no such move.
    """
    after = kept.slots.advance(
        move.slot,
        move.what,
        now_unix_s=now_unix_s,
        content=move.content,
        reason=move.reason,
        may_fall_back=move.may_fall_back,
    )
    held = after[move.slot].content or kept.slots[move.slot].content
    entries = [*_moves(kept, after, move, at=now_unix_s), *_rollback(kept, after, move, at=now_unix_s)]
    refused = None
    if move.refuse and held is not None:
        refused = _refusal(kept.model, held, reason=move.reason, at_unix_s=now_unix_s)
        entries.append(_refusal_entry(refused, cause=move.cause))
    trials = _next_trials(kept.trials, after, move, now_unix_s=now_unix_s)
    return Change(slots=after, trials=trials, entries=entries, refused=refused)


def plan_refusal(kept: Kept, content: Content, *, cause: str, reason: str, now_unix_s: float) -> Change:
    """Work out what it means to turn down a bundle that is in no slot."""
    refused = _refusal(kept.model, content, reason=reason, at_unix_s=now_unix_s)
    return Change(slots=kept.slots, trials=kept.trials, entries=[_refusal_entry(refused, cause=cause)], refused=refused)


def plan_variant(kept: Kept, digest: Digest, variant: str) -> Change:
    """Work out what it means that another variant of the active version answers; of a version that is not active, nothing."""
    slots, slot = kept.slots, kept.slots.active_slot
    if slot is not None and slot.content is not None and slot.content.digest == digest:
        answering = replace(slot, content=replace(slot.content, variant=variant))
        slots = replace(slots, a=answering) if slots.active == "a" else replace(slots, b=answering)
    return Change(slots=slots, trials=kept.trials, entries=[])


def plan_lift(kept: Kept, refused: Mapping[Digest, Refused], *, cause: str, now_unix_s: float) -> Change:
    """Work out what it means to turn bundles down no longer."""
    entries = [
        Entry(
            at=now_unix_s,
            what=Happening.REFUSAL_LIFTED,
            model=kept.model,
            version=str(item.version),
            cause=cause,
            reason=item.reason,
        )
        for item in refused.values()
    ]
    return Change(slots=kept.slots, trials=kept.trials, entries=entries, lifted=tuple(refused))


def _next_trials(
    kept: Mapping[SlotName, KeptTrial], after: Slots, move: Move, *, now_unix_s: float
) -> Mapping[SlotName, KeptTrial]:
    """Return what is kept of candidates and trials after a move."""
    slot, before = after[move.slot], kept.get(move.slot)
    trials = {name: trial for name, trial in kept.items() if after[name].state in _KEPT_STATES}
    if slot.content is not None and (move.what is SlotEvent.WRITE_BEGAN or slot.state is SlotState.TRIAL):
        version, digest = slot.content.version, slot.content.digest
        # One that is begun again because the daemon ended goes on counting how often it did.
        is_again = move.what is SlotEvent.WRITE_BEGAN and before is not None and before.digest == digest
        trials[move.slot] = KeptTrial(
            version=version,
            digest=digest,
            began_unix_s=now_unix_s,
            daemon_starts=before.daemon_starts if before is not None and is_again else 0,
            baseline=move.baseline,
        )
    return trials


def _moves(kept: Kept, after: Slots, move: Move, *, at: float) -> Iterator[Entry]:
    """Give an entry for each slot that was moved."""
    other: SlotName = "b" if move.slot == "a" else "a"
    moved = [(move.slot, str(move.what))]
    if after[other].state is not kept.slots[other].state:
        follows = SlotEvent.SUPERSEDED if move.what is SlotEvent.ACTIVATED else SlotEvent.ACTIVATED
        moved.append((other, str(follows)))
    for name, event in moved:
        content = after[name].content or kept.slots[name].content
        why = move.reason if name == move.slot else after[name].reason
        yield Entry(
            at=at,
            what=Happening.SLOT_MOVED,
            model=kept.model,
            version="" if content is None else str(content.version),
            slot=name,
            cause=move.cause,
            reason=f"{event}: {why}" if why else event,
        )


def _rollback(kept: Kept, after: Slots, move: Move, *, at: float) -> Iterator[Entry]:
    """Give one more entry when the active version was turned down."""
    content = kept.slots[move.slot].content
    if move.what is not SlotEvent.HEALTH_FAILED or content is None:
        return
    instead = None if after.active_slot is None else after.active_slot.content
    answers = "nothing answers in its place" if instead is None else f"{instead.version} answers again"
    yield Entry(
        at=at,
        what=Happening.ROLLED_BACK,
        model=kept.model,
        version=str(content.version),
        slot=move.slot,
        cause=move.cause,
        reason=f"{move.reason}; {answers}",
    )


def _refusal(model: ModelName, content: Content, *, reason: str, at_unix_s: float) -> Refused:
    return Refused(model=model, version=content.version, digest=content.digest, reason=reason, at_unix_s=at_unix_s)


def _refusal_entry(refused: Refused, *, cause: str) -> Entry:
    return Entry(
        at=refused.at_unix_s,
        what=Happening.REFUSED,
        model=refused.model,
        version=str(refused.version),
        cause=cause,
        reason=refused.reason,
    )
