"""What a device does next about the version that a rollout names. Pure.

Rules, in order:

(1) nothing    the rollout names no version for this device: what is active goes on
(2) active     the version runs already
(3) refused    this device turned it down, and does not try it again by itself
(4) floor      it is below the lowest version that may be activated
(5) stopped    it may not answer, so there is no use in activating it
(6) proven     it is in the fallback slot: it takes over as it is, without another validation or trial, also in the middle of one
(7) leave      another version is on trial, and nobody wants it any more: the fallback takes over first, where it may
(8) try        it goes to the spare slot

A version never changes its content, on the host or in the store, so the version alone is enough to decide by.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from edged.ids import Version
from edged.store.slots import Slots, SlotState


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What may run on this device of one model, whatever a rollout names."""

    refused: Collection[Version] = ()
    """Turned down here."""
    floor: Version | None = None
    stopped: Collection[Version] = ()
    """Of the versions in question, those that may not answer."""

    def complaint(self, version: Version) -> str:
        """Say why a version must not be activated; empty when it may be."""
        if version in self.refused:  # (3)
            return "this device turned it down"
        if self.is_below_floor(version):  # (4)
            return f"it is below {self.floor}, the lowest version that may be activated"
        if version in self.stopped:  # (5)
            return "the publisher stopped it"
        return ""

    def is_below_floor(self, version: Version) -> bool:
        """Tell whether a version is too old to be activated, also in place of one that failed."""
        return self.floor is not None and version < self.floor


Action = Literal["stay", "switch", "leave", "try"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to do next."""

    action: Action
    """``stay``: nothing. ``switch``: activate the fallback slot. ``leave``: the same, and then ``try``."""
    reason: str = ""
    """Why nothing is done, in words."""


def next_step(wanted: Version | None, *, slots: Slots, terms: Terms) -> Step:
    """Decide by the rules above.

    Args:
        wanted: The version that the rollout names for this device.
        slots: The model's slots.
        terms: What may run here.
    """
    active = None if slots.active_slot is None else slots.active_slot.content
    if wanted is None:  # (1)
        return Step(action="stay", reason="no version is meant for this device")
    if active is not None and active.version == wanted:  # (2)
        return Step(action="stay", reason="it is active")
    if complaint := terms.complaint(wanted):
        return Step(action="stay", reason=complaint)
    proven = None if slots.fallback is None else slots[slots.fallback].content
    if proven is not None and proven.version == wanted:
        return Step(action="switch")
    is_trial = slots.active_slot is not None and slots.active_slot.state is SlotState.TRIAL
    if is_trial and proven is not None and not terms.is_below_floor(proven.version):
        return Step(action="leave")
    return Step(action="try")


def last_resorts(slots: Slots, terms: Terms) -> Iterator[Version]:
    """Give the versions of bad slots, newest first, for a model of which nothing is active.

    What is in a bad slot was good, or would be refused: better served than nothing while the rollout names a refused version.
    """
    bad = [slot.content.version for slot in (slots.a, slots.b) if slot.state is SlotState.BAD and slot.content]
    if slots.active is None:
        yield from (version for version in sorted(bad, reverse=True) if not terms.complaint(version))
