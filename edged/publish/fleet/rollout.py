"""How a model's entry in the rollout document changes. Pure.

A version goes from a few devices to all in steps, ``STEPS``. Each step lasts at least the rollout's soak time. At 100 % every device of
the rollout runs it, and it may still be halted; finishing, one more step, makes it the version for everyone. A rollout to a part of the
fleet, or one behind a flag, is finished only when that is asked for by name, because it then reaches devices that it never was tried on.

A rollout can be held in two ways. Halted: nobody new takes the version, and who runs it stays. Taken back: its percentage is nought, so
who runs it goes back to the version for everyone. A held rollout does not advance until it is resumed, and another may take its place.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from edged.errors import NothingToDoError, UnavailableError, UsageError
from edged.ops.rollout import Next, Pin, RolloutEntry
from edged.ops.segments import Issued, Segment
from edged.publish.fleet.words import duration, part_of_fleet

STEPS: Final = (1.0, 10.0, 25.0, 50.0, 100.0)
DEFAULT_SOAK_S: Final = 24 * 3600.0
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


def rollout_id(model: str, version: str) -> str:
    """Return what a rollout is called unless somebody calls it otherwise: other devices are the first with each version."""
    return f"{model}-{version}"


def release(entry: RolloutEntry | None, version: str) -> RolloutEntry:
    """Tell every device to run a version; it also takes the place of a rollout that is held.

    Raises:
        UsageError: Another version is on its way, or this one is on its way in steps.
    """
    before = entry or RolloutEntry()
    if before.version == version:
        return before
    if before.next is not None and not is_held(before.next):
        hint = "Advance it to its end or halt it first, or publish with --no-rollout."
        raise UsageError(f"{before.next.version} is being rolled out, at {before.next.percent:g} %", hint=hint)
    return replace(before, version=version, next=None)


def start(entry: RolloutEntry | None, new: Next) -> RolloutEntry:
    """Begin to roll a version out in steps.

    Args:
        entry: Of the model; None when the rollout does not know it.
        new: The rollout to be.

    Raises:
        UsageError: A rollout is under way, or everybody runs the version.
    """
    before = entry or RolloutEntry()
    if before.version == new.version:
        raise UsageError(f"{new.version} is the version for everyone already", hint="Roll out another version.")
    if before.next is not None and replace(new, since=before.next.since) == before.next:
        return before
    if before.next is not None and not is_held(before.next):
        hint = "Advance it until it is finished, or halt it."
        raise UsageError(f"{before.next.version} is being rolled out, at {before.next.percent:g} %", hint=hint)
    return replace(before, next=new)


def advance(
    entry: RolloutEntry | None,
    *,
    percent: float | None,
    now: Issued,
    at_once: bool = False,
    to_everyone: bool = False,
) -> RolloutEntry:
    """Take a rollout to its next step, or finish it.

    Args:
        entry: Of the model.
        percent: Where to; None for the next of ``STEPS``, and after the last to the end.
        now: The time that the document will be issued at.
        at_once: Do not wait for the soak time.
        to_everyone: Finish it although it went to a part of the fleet only.

    Raises:
        NothingToDoError: Nothing is being rolled out.
        UsageError: The rollout is held, the percentage is not higher, or finishing it would reach devices it was not meant for.
        UnavailableError: The step has not lasted its soak time.
    """
    before, current = _under_way(entry)
    if current.percent == percent:
        return before
    if is_held(current):
        hint = f"Find out why ({current.reason}), then resume it or roll out another version."
        raise UsageError(f"the rollout of {current.version} is held", hint=hint)
    if percent is not None and percent < current.percent:
        hint = "Halting keeps it from growing; halt --back takes it away from the devices that have it."
        raise UsageError(f"the rollout of {current.version} is at {current.percent:g} % already", hint=hint)
    left_s = soak_left_s(current, now=now)
    if left_s > 0 and not at_once:
        hint = "Wait, or pass --now to go on without having watched it for so long."
        message = f"{current.percent:g} % has {duration(left_s)} of its soak time left"
        raise UnavailableError(message, hint=hint, retry_after_s=int(left_s) + 1)
    if percent is None:
        percent = next((step for step in STEPS if step > current.percent), None)
    if percent is not None:
        return replace(before, next=replace(current, percent=percent, since=now))
    if (current.segments or current.flag) and not to_everyone:
        reached = part_of_fleet(current.segments) + (f", where the flag {current.flag} is on" if current.flag else "")
        hint = "Pass --everyone to make it the version of all other devices, too, in one step."
        raise UsageError(f"{current.version} was rolled out to a part of the fleet only: {reached}", hint=hint)
    return replace(before, version=current.version, next=None)


def halt(entry: RolloutEntry | None, *, reason: str, takes_back: bool = False) -> RolloutEntry:
    """Let nobody new take a version, and, if that is asked for, take it from those who have it.

    Raises:
        NothingToDoError: Nothing is being rolled out.
        UsageError: There is no version to go back to.
    """
    before, current = _under_way(entry)
    if not takes_back and is_taken_back(current):
        raise UsageError(f"{current.version} was taken back already", hint="Nobody runs it; there is no more to halt.")
    if takes_back and before.version is None:
        hint = "edge-publish stop makes devices refuse every request for the model."
        raise UsageError(f"there is no version to go back to from {current.version}", hint=hint)
    if takes_back:
        return replace(before, next=replace(current, halted=False, percent=0.0, reason=reason))
    return replace(before, next=replace(current, halted=True, reason=reason))


def resume(entry: RolloutEntry | None, *, now: Issued) -> RolloutEntry:
    """Let a held rollout go on; the soak time of its step begins again.

    Raises:
        NothingToDoError: Nothing is being rolled out.
    """
    before, current = _under_way(entry)
    if not is_held(current):
        return before
    return replace(before, next=replace(current, halted=False, reason="", since=now))


def pin(entry: RolloutEntry | None, new: Pin) -> RolloutEntry:
    """Keep a part of the fleet at one version; a pin of the same part is replaced, a new one comes after the others."""
    before = entry or RolloutEntry()
    if any(old.segments == new.segments for old in before.pins):
        return replace(before, pins=tuple(new if old.segments == new.segments else old for old in before.pins))
    return replace(before, pins=(*before.pins, new))


def unpin(entry: RolloutEntry | None, segments: Sequence[Segment]) -> RolloutEntry:
    """Take a pin away.

    Raises:
        NothingToDoError: There is none for exactly these segments.
    """
    before = entry or RolloutEntry()
    kept = tuple(old for old in before.pins if old.segments != tuple(segments))
    if len(kept) == len(before.pins):
        known = "; ".join(part_of_fleet(old.segments) for old in before.pins)
        raise NothingToDoError(
            f"no pin is for exactly {part_of_fleet(segments)}", hint=f"Pinned are: {known or 'none'}."
        )
    return replace(before, pins=kept)


def is_held(current: Next) -> bool:
    """Tell whether a rollout is halted or was taken back."""
    return current.halted or bool(current.reason)


def is_taken_back(current: Next) -> bool:
    """Tell whether devices were told to go back from a version."""
    return not current.halted and bool(current.reason)


def soak_left_s(current: Next, *, now: Issued) -> float:
    """Return how many seconds the present step has to last yet; 0 when it may end."""
    return max(0.0, current.soak_s - (_seconds(now) - _seconds(current.since)))


def versions_of(entry: RolloutEntry) -> list[str]:
    """Return every version that an entry names."""
    named = [entry.version, entry.next.version if entry.next else None, *(pin.version for pin in entry.pins)]
    return list(dict.fromkeys(version for version in named if version is not None))


def _under_way(entry: RolloutEntry | None) -> tuple[RolloutEntry, Next]:
    if entry is None or entry.next is None:
        everyone = f"; everyone runs {entry.version}" if entry and entry.version else ""
        raise NothingToDoError(f"nothing is being rolled out{everyone}", hint="Begin with rollout start.")
    return entry, entry.next


def _seconds(time: Issued) -> float:
    return datetime.strptime(time, _TIME).replace(tzinfo=UTC).timestamp()
