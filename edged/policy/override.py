"""What an operator asks for one model of one device, for a while: the first rule of all. Pure.

It ends by whichever clock gets there first: the wall clock, or the time that the machine has run since it began. A machine may have no wall
clock that goes on while it is off, so that only the latter counts, and it has to survive reboots:

(1) within one start of the machine, the clock that counts from there and never jumps tells how much is used
(2) what is written down counts as used after a reboot. It is written down before it is used: a machine that reboots sooner than it writes
    would begin anew each time

So an override is never in force for longer than was asked for, all starts of the machine together, whatever the wall clock does. Each
reboot may cost it ``AHEAD_S``.
"""

from typing import Annotated, Final

import msgspec
from msgspec.structs import replace

from edged.codec import Document
from edged.ids import MODEL_NAME_PATTERN
from edged.policy.document import Rule, Then

MAX_OVERRIDE_S: Final = 7 * 86400.0
LOOK_EVERY_S: Final = 60.0
"""How often it is looked at what is written down."""
ENOUGH_S: Final = 75.0
"""With so much left of it, it lasts until the next look, and for as long as a slow disk may take then."""
AHEAD_S: Final = 90.0
"""How much is written down at a time."""
NAME: Final = "override"
"""Of the rule."""


class Override(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One of them; a model has one at most."""

    model: Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)]
    then: Then
    by: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    """Who: ``operator alice (uid 1000)``."""
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    began_unix_s: float
    for_s: Annotated[float, msgspec.Meta(gt=0, le=MAX_OVERRIDE_S)]
    boot_id: str
    """Of the machine's start that ``until_boot_s`` counts from."""
    until_boot_s: float
    used_s: Annotated[float, msgspec.Meta(ge=0, le=MAX_OVERRIDE_S)] = 0.0
    """How much counts as used once the machine is started again; 0 in files of versions that did not count it."""

    @property
    def until_unix_s(self) -> float:
        """When it ends by the wall clock."""
        return self.began_unix_s + self.for_s


class OverridesFile(Document, frozen=True, kw_only=True):
    """``overrides.json`` of the state directory."""

    schema: int = 1
    overrides: tuple[Override, ...] = ()


def rule_of(override: Override) -> Rule:
    """Return the rule that does what an override asks for."""
    description = f"{override.by}: {override.reason}"[:500]
    # A list of one name: alone, ``unknown`` would not mean the model that is called so.
    return Rule(name=NAME, description=description, when=({"model": (override.model,)},), then=override.then)


def left_s(override: Override, *, unix_s: float, boot_s: float) -> float:
    """Return for how many seconds an override goes on; 0 or less when it is over.

    Args:
        override: Of this start of the machine (``carried_over``).
        unix_s: The wall clock.
        boot_s: Seconds since the machine was started.
    """
    return min(override.until_unix_s - unix_s, override.until_boot_s - boot_s)


def carried_over(override: Override, *, unix_s: float, boot_id: str, boot_s: float) -> Override:
    """Return an override as it counts in this start of the machine, which may be another one than it was begun in.

    Args:
        override: As it was written down.
        unix_s: The wall clock.
        boot_id: Of this start; empty where nobody knows, which counts as another one.
        boot_s: Seconds since then.
    """
    if boot_id and override.boot_id == boot_id:
        return override
    remaining_s = min(override.for_s - override.used_s, override.until_unix_s - unix_s)
    return replace(override, boot_id=boot_id, until_boot_s=boot_s + remaining_s)


def counted_ahead(override: Override, *, boot_s: float) -> Override:
    """Return an override with enough of it counted as used to last until the next look; the same one when that is so already.

    Args:
        override: Of this start of the machine.
        boot_s: Seconds since then.
    """
    used_s = override.for_s - (override.until_boot_s - boot_s)
    if override.used_s >= min(override.for_s, used_s + ENOUGH_S):
        return override
    return replace(override, used_s=min(override.for_s, used_s + AHEAD_S))


def then_text(then: Then) -> str:
    """Say in a few words what is asked for."""
    if then.deny is not None:
        return f"deny: {then.deny}"
    if then.defer_s is not None:
        return f"defer for {then.defer_s:g} s"
    return f"variant {', '.join(then.variants)}" if then.variants else "run"
