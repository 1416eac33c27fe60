"""The two slots of a model: what each may become, and which one answers. Pure.

A model has slots a and b. At most one is active: it is in trial, good, or proven before (fallback) and active again. The other is free
for a candidate, which is written, ready, in validation, perhaps in the shadow, and then active. One table lists every move; what is not
in it cannot happen. ``Slots.advance`` returns the slots after an event and never touches the disk; ``edged.store.state`` makes the result
durable in one transaction.

Rules between the two slots, in order:
1. Activating one slot takes activity from the other. A slot that was good becomes the fallback; one whose trial was not over is bad:
   it never proved itself, so nothing may fall back to it.
2. When the active slot turns bad, the fallback becomes active again at once, without a second trial: it is proven. Whoever moves the
   slot may rule that out, for a fallback that must not be activated any more.
3. Without a fallback a bad slot leaves the model with no active slot, which is refused service rather than wrong answers.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from edged.ids import Digest, SlotName, Version


class SlotState(StrEnum):
    """The life of a slot."""

    EMPTY = "empty"
    WRITING = "writing"
    """A candidate is being read back from the store and hashed."""
    READY = "ready"
    """The candidate is complete; its validation waits for the quiet window."""
    VALIDATION = "validation"
    """Its validation kit runs, or was passed and the activation waits for the quiet window."""
    SHADOW = "shadow"
    """It answers, unheard, what the active version has answered (``edged.activation.shadow``)."""
    TRIAL = "trial"
    """Active, and not yet known to be good."""
    GOOD = "good"
    FALLBACK = "fallback"
    """Was good until a newer version took over; what a bad trial goes back to."""
    BAD = "bad"


class SlotEvent(StrEnum):
    """What can happen to a slot."""

    WRITE_BEGAN = "write-began"
    WRITE_VERIFIED = "write-verified"
    WRITE_FAILED = "write-failed"
    VALIDATION_BEGAN = "validation-began"
    VALIDATION_INTERRUPTED = "validation-interrupted"
    """By the device's own trouble, or by the end of the daemon."""
    VALIDATION_FAILED = "validation-failed"
    SHADOW_BEGAN = "shadow-began"
    SHADOW_INTERRUPTED = "shadow-interrupted"
    """By the device's own trouble, by the end of the daemon, or because nobody wants the candidate any more."""
    SHADOW_FAILED = "shadow-failed"
    ABANDONED = "abandoned"
    """Nobody wants the candidate any more."""
    ACTIVATED = "activated"
    HEALTH_PASSED = "health-passed"
    HEALTH_FAILED = "health-failed"
    SUPERSEDED = "superseded"
    """Follows from the activation of the other slot; never comes by itself."""


MOVES: Final[dict[SlotState, dict[SlotEvent, SlotState]]] = {
    SlotState.EMPTY: {SlotEvent.WRITE_BEGAN: SlotState.WRITING},
    SlotState.WRITING: {
        SlotEvent.WRITE_VERIFIED: SlotState.READY,
        SlotEvent.WRITE_FAILED: SlotState.EMPTY,
        SlotEvent.WRITE_BEGAN: SlotState.WRITING,  # the end of the attempt before could not be written down
    },
    SlotState.READY: {
        SlotEvent.VALIDATION_BEGAN: SlotState.VALIDATION,
        SlotEvent.ABANDONED: SlotState.EMPTY,
        SlotEvent.WRITE_BEGAN: SlotState.WRITING,  # a newer candidate arrived first
    },
    SlotState.VALIDATION: {
        SlotEvent.SHADOW_BEGAN: SlotState.SHADOW,
        SlotEvent.ACTIVATED: SlotState.TRIAL,  # no shadow run was asked for, or it is over
        SlotEvent.VALIDATION_INTERRUPTED: SlotState.READY,
        SlotEvent.VALIDATION_FAILED: SlotState.BAD,
        SlotEvent.WRITE_BEGAN: SlotState.WRITING,
    },
    SlotState.SHADOW: {
        SlotEvent.ACTIVATED: SlotState.TRIAL,
        SlotEvent.SHADOW_INTERRUPTED: SlotState.READY,
        SlotEvent.SHADOW_FAILED: SlotState.BAD,
        SlotEvent.WRITE_BEGAN: SlotState.WRITING,
    },
    SlotState.TRIAL: {
        SlotEvent.HEALTH_PASSED: SlotState.GOOD,
        SlotEvent.HEALTH_FAILED: SlotState.BAD,
        SlotEvent.SUPERSEDED: SlotState.BAD,  # rule 1: never proven
    },
    SlotState.GOOD: {
        SlotEvent.SUPERSEDED: SlotState.FALLBACK,
        SlotEvent.HEALTH_FAILED: SlotState.BAD,
    },
    SlotState.FALLBACK: {
        SlotEvent.ACTIVATED: SlotState.GOOD,  # proven: no second trial
        SlotEvent.WRITE_BEGAN: SlotState.WRITING,
    },
    SlotState.BAD: {SlotEvent.WRITE_BEGAN: SlotState.WRITING},
}

ACTIVE_STATES: Final = frozenset({SlotState.TRIAL, SlotState.GOOD})
CANDIDATE_STATES: Final = frozenset({SlotState.WRITING, SlotState.READY, SlotState.VALIDATION, SlotState.SHADOW})


class MoveRefusedError(ValueError):
    """An event came to a slot whose state does not allow it: a mistake in edged, not in the world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The bundle in a slot, and the variant of it that was chosen."""

    version: Version
    digest: Digest
    """SHA-256 of the manifest."""
    variant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One slot: its state, what is in it (nothing when empty), and why it is bad when it is."""

    state: SlotState = SlotState.EMPTY
    content: Content | None = None
    reason: str = ""
    changed_unix_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Both slots of one model, and the name of the active one."""

    a: Slot = Slot()
    b: Slot = Slot()
    active: SlotName | None = None

    def __getitem__(self, name: SlotName) -> Slot:
        return self.a if name == "a" else self.b

    @property
    def active_slot(self) -> Slot | None:
        """The slot that answers, or None."""
        return None if self.active is None else self[self.active]

    @property
    def fallback(self) -> SlotName | None:
        """The slot whose version is proven and could answer in place of the active one, or None."""
        return self.spare if self[self.spare].state is SlotState.FALLBACK else None

    @property
    def spare(self) -> SlotName:
        """The slot that a candidate may be written to: never the active one. With nothing active, the one that has a candidate already."""
        if self.active is None:
            return "b" if self.b.state in CANDIDATE_STATES and self.a.state not in CANDIDATE_STATES else "a"
        return "b" if self.active == "a" else "a"

    def advance(
        self,
        name: SlotName,
        event: SlotEvent,
        *,
        now_unix_s: float,
        content: Content | None = None,
        reason: str = "",
        may_fall_back: bool = True,
    ) -> "Slots":
        """Return the slots after an event.

        Args:
            name: The slot it happens to.
            event: What happens.
            now_unix_s: Wall clock, kept for people to read.
            content: The candidate; given with WRITE_BEGAN and only with it.
            reason: Why, for events that end badly.
            may_fall_back: Whether the fallback may become active when this event turns the active slot bad.

        Raises:
            MoveRefusedError: The table has no such move, or the active slot would be superseded by nothing.
        """
        slot = self[name]
        target = MOVES[slot.state].get(event)
        if target is None:
            raise MoveRefusedError(f"slot {name} is {slot.state}: {event} is not a move from there")
        if event is SlotEvent.SUPERSEDED and self.active == name:
            raise MoveRefusedError(f"slot {name} is active: only the activation of the other one supersedes it")
        if (event is SlotEvent.WRITE_BEGAN) != (content is not None):
            raise MoveRefusedError(f"slot {name}: content comes with {SlotEvent.WRITE_BEGAN} and only with it")
        moved = Slot(
            state=target,
            content=None if target is SlotState.EMPTY else (content or slot.content),
            reason=reason,
            changed_unix_s=now_unix_s,
        )
        after = _with_slot(self, name, moved)
        if event is SlotEvent.ACTIVATED:
            return _supersede_other(replace(after, active=name), name, was_active=self.active, now_unix_s=now_unix_s)
        if target is SlotState.BAD and self.active == name:
            left = replace(after, active=None)
            return _fall_back(left, _other(name), now_unix_s=now_unix_s) if may_fall_back else left
        return after


def _with_slot(slots: Slots, name: SlotName, slot: Slot) -> Slots:
    return replace(slots, a=slot) if name == "a" else replace(slots, b=slot)


def _supersede_other(slots: Slots, name: SlotName, *, was_active: SlotName | None, now_unix_s: float) -> Slots:
    other = _other(name)
    if was_active != other:
        return slots
    reason = "replaced before its trial was over" if slots[other].state is SlotState.TRIAL else ""
    return slots.advance(other, SlotEvent.SUPERSEDED, now_unix_s=now_unix_s, reason=reason)


def _fall_back(slots: Slots, other: SlotName, *, now_unix_s: float) -> Slots:
    if slots[other].state is not SlotState.FALLBACK:
        return slots  # rule 3
    return slots.advance(other, SlotEvent.ACTIVATED, now_unix_s=now_unix_s)


def _other(name: SlotName) -> SlotName:
    return "b" if name == "a" else "a"
