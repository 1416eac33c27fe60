"""Which variants of a model are loaded, and which of them answers: the next step from what is loaded to what is wanted. Pure.

The rules, in order:

(1) wanted     of what is wanted, only what can run here counts; where nothing of it can, the best variant that can run at all
(2) answers    the first of those that is loaded. While none is, what answers now goes on, as long as it has a worker
(3) unloaded   what nobody has wanted for ``unload_after_s``; what is not wanted at all, as soon as memory is short or more is loaded than
               ``max_loaded``; then what is wanted but not first, the least wanted first
(4) loaded     the first, next to what is there if its memory fits and a reserve is left (warm). If it does not fit although everything
               that may be unloaded has been, what answers is ended before it is loaded, and requests wait meanwhile (cold). The others
               only if they fit
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from edged.codec import Document


class WarmRules(Document, frozen=True, kw_only=True):
    """How much a device keeps loaded so that it can switch at once."""

    max_loaded: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    """Most variants of one model that stay loaded, the one that answers included."""
    unload_after_s: Annotated[float, msgspec.Meta(ge=0, le=7 * 86400)] = 300.0
    """A variant that nobody wants any more is unloaded after so long."""
    reserve_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] = 10.0
    """Share of the device's memory that has to be left after a variant was loaded next to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A variant that is loaded."""

    id: str
    is_working: bool = True
    """False while its worker cannot be started."""
    unwanted_s: float = 0.0
    """For how long nobody has wanted it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What memory there is."""

    available_bytes: int
    reserve_bytes: int
    needs: Mapping[str, int]
    """Of each variant, measured or as its manifest says."""

    @property
    def is_short(self) -> bool:
        """Less is left than there has to be."""
        return self.available_bytes < self.reserve_bytes

    def fits(self, variant: str) -> bool:
        """Tell whether a variant can be loaded next to all that is there."""
        return self.available_bytes >= self.reserve_bytes + self.needs[variant]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to do next, in the order of the fields; then it is asked again."""

    unload: tuple[str, ...] = ()
    needs_room: bool = False
    """Their memory is needed: what comes next waits until it is free."""
    load: str = ""
    """Empty: nothing has to be loaded."""
    is_cold: bool = False
    """All that is loaded is ended first."""

    def __bool__(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.unload or self.load)


def targets_of(wanted: Sequence[str], usable: Sequence[str]) -> list[str]:
    """Return what is to be loaded, best first.

    Args:
        wanted: Ids, best first.
        usable: All that can run here, best for this machine first.
    """
    return [id_ for id_ in wanted if id_ in usable] or [*usable[:1]]  # (1)


def choose_answering(targets: Sequence[str], loaded: Sequence[Loaded]) -> str:
    """Return which of the loaded variants answers; the first of ``loaded`` is the one that does now."""
    working = [item.id for item in loaded if item.is_working]
    first = next((id_ for id_ in targets if id_ in working), None)  # (2)
    if first is not None:
        return first
    return working[0] if working else loaded[0].id


def plan_step(*, targets: Sequence[str], loaded: Sequence[Loaded], room: Room, rules: WarmRules) -> Step:
    """Find the next step.

    Args:
        targets: Of ``targets_of``.
        loaded: At least one; the first is the one that answers, and of ``choose_answering``.
        room: What memory there is.
        rules: What to keep.
    """
    answers = loaded[0].id
    unload = _unloaded(targets, loaded, room, rules)  # (3)
    have = {item.id for item in loaded}
    missing = [id_ for id_ in targets if id_ not in have]
    if not missing or (room.is_short and unload):
        return Step(unload=unload, needs_room=bool(unload) and room.is_short)
    next_ = missing[0]
    is_first = next_ == targets[0]
    if room.fits(next_):  # (4)
        # What is not wanted makes way afterwards.
        is_allowed = is_first or len(have & {*targets, answers}) < rules.max_loaded
        return Step(unload=unload, load=next_ if is_allowed else "")
    if not is_first:
        return Step(unload=unload)
    spare = tuple(item.id for item in loaded[1:])
    return Step(unload=spare, needs_room=True) if spare else Step(load=next_, is_cold=True)


def _unloaded(targets: Sequence[str], loaded: Sequence[Loaded], room: Room, rules: WarmRules) -> tuple[str, ...]:
    kept = {loaded[0].id, *targets[:1]}
    longest_first = sorted(loaded, key=lambda item: -item.unwanted_s)
    unwanted = [item for item in longest_first if item.id not in {*kept, *targets}]
    have = {item.id for item in loaded}
    least_first = [id_ for id_ in reversed(targets) if id_ in have - kept]
    if room.is_short:
        return tuple(item.id for item in unwanted) or tuple(least_first[:1])
    too_many = max(0, len(loaded) - rules.max_loaded)
    extra = [*(item.id for item in unwanted), *least_first][:too_many]
    old = [item.id for item in unwanted if item.unwanted_s >= rules.unload_after_s]
    return tuple(dict.fromkeys([*extra, *old]))
