"""The rollout document: which version of each model which devices run, signed by the ops role. Pure.

A device finds its version by these rules, in order:

(1) pin       the first pin whose segments it belongs to
(2) next      if it belongs to the segments of what is being rolled out, and to the first so many percent of them. While the rollout is
              halted nobody new takes it, and who runs it already stays. While its flag is off here, the bits are brought but not run.
(3) everyone  the version that all others run
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

from edged.activation.shadow import Share
from edged.codec import Document
from edged.ids import MODEL_NAME_PATTERN, VERSION_PATTERN, Version
from edged.ops.cohort import is_among
from edged.ops.flags import FLAG_PATTERN, FlagValue
from edged.ops.segments import Device, Issued, Segment, fits_any

MAX_ROLLOUT_BYTES: Final = 1 << 20

VersionText = Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN, max_length=64)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Words = Annotated[str, msgspec.Meta(max_length=500)]


class Pin(Document, frozen=True, kw_only=True, omit_defaults=True):
    """Devices that stay with one version whatever is rolled out."""

    segments: Annotated[tuple[Segment, ...], msgspec.Meta(min_length=1)]
    version: VersionText
    reason: Words = ""


class Next(Document, frozen=True, kw_only=True, omit_defaults=True):
    """A version on its way from a few devices to all."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    """Decides together with the device's ID who is among the first; stays the same while the percentage grows."""
    version: VersionText
    percent: Percent
    segments: tuple[Segment, ...] = ()
    """Who takes part at all; empty means everybody."""
    flag: Annotated[str, msgspec.Meta(pattern=f"^$|{FLAG_PATTERN}")] = ""
    """A feature flag that has to be on before a device runs it; the bits come before."""
    halted: bool = False
    soak_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """How long a device watches it before it counts as good, and how long each percentage lasts at least."""
    shadow: Share = 0.0
    """Of the apps' requests, how many a device asks it, too, before it answers anybody; a device may be configured to ask more."""
    since: Issued
    """When this percentage began."""
    reason: Words = ""
    """Why it was halted."""


class RolloutEntry(Document, frozen=True, kw_only=True, omit_defaults=True):
    """The versions of one model."""

    version: VersionText | None = None
    """What everybody runs for whom nothing else is said; None while there is only a first version on its way."""
    next: Next | None = None
    pins: tuple[Pin, ...] = ()


class Rollout(Document, frozen=True, kw_only=True):
    """``ops/rollout.json``."""

    schema: Literal[1]
    issued: Issued
    models: dict[Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)], RolloutEntry]


Rule = Literal["pin", "next", "everyone", "nobody", "local"]
"""``local``: no rollout at all, but whoever runs edged for development (``edged dev --model``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDecision:
    """What a rollout means for one device."""

    run: Version | None
    """None: this device runs no version of the model that the rollout knows of."""
    bring: tuple[Version, ...]
    """Versions whose bits this device should have, the one to run included."""
    rule: Rule
    reason: str
    """For people: why, in words."""
    soak_s: float = 0.0
    """Of the version to run."""
    shadow: float = 0.0
    """Likewise."""


def decide(
    entry: RolloutEntry, device: Device, *, active: Version | None, flags: Mapping[str, FlagValue]
) -> RolloutDecision:
    """Find out what one device runs, by the rules above.

    Args:
        entry: Of one model.
        device: Who asks.
        active: The version that runs here now.
        flags: The flags as they are here.
    """
    pin = next((pin for pin in entry.pins if fits_any(pin.segments, device)), None)
    if pin is not None:  # (1)
        reason = f"pinned to {pin.version}" + (f": {pin.reason}" if pin.reason else "")
        return _run(pin.version, rule="pin", reason=reason)
    if entry.next is None:
        return _run_base(entry, "the version for everyone")  # (3)
    why_not = _why_not(entry.next, device, active=active)
    place = f"among the first {entry.next.percent:g} % for {entry.next.version}"
    if why_not:
        return _run_base(entry, why_not)  # (3)
    if entry.next.flag and not flags.get(entry.next.flag):  # (2)
        reason = f"{place}, which waits for the flag {entry.next.flag}"
        return _run_base(entry, reason, also=(Version.parse(entry.next.version),))
    if entry.next.halted:
        place = f"{entry.next.version} is halted, and runs here already"
    return _run(entry.next.version, rule="next", reason=place, soak_s=entry.next.soak_s, shadow=entry.next.shadow)


def _why_not(after: Next, device: Device, *, active: Version | None) -> str:
    """Say why a device does not take what is being rolled out; empty when it does."""
    if not fits_any(after.segments, device):
        return f"not in the segments that {after.version} is rolled out to"
    if after.halted:
        return "" if active == Version.parse(after.version) else f"the rollout of {after.version} is halted"
    if not is_among(after.id, device.id, percent=after.percent):
        return f"not among the first {after.percent:g} % for {after.version}"
    return ""


def _run(version: str, *, rule: Rule, reason: str, soak_s: float = 0.0, shadow: float = 0.0) -> RolloutDecision:
    parsed = Version.parse(version)
    return RolloutDecision(run=parsed, bring=(parsed,), rule=rule, reason=reason, soak_s=soak_s, shadow=shadow)


def _run_base(entry: RolloutEntry, reason: str, *, also: tuple[Version, ...] = ()) -> RolloutDecision:
    if entry.version is None:
        return RolloutDecision(run=None, bring=also, rule="nobody", reason=reason)
    run = Version.parse(entry.version)
    return RolloutDecision(run=run, bring=(run, *also), rule="everyone", reason=reason)
