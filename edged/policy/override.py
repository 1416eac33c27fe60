"""What an operator asks for one model of one device, for a while: the first rule of all. Pure.

It ends by whichever clock gets there first: the wall clock, or the clock that counts from the start of the machine and never jumps. So a
wall clock that is set back does not make an override last longer, and after a reboot, when only the wall clock is left, it lasts at
most as long again as it was meant to.
"""

from typing import Annotated, Final

import msgspec
from msgspec.structs import replace

from edged.codec import Document
from edged.ids import MODEL_NAME_PATTERN
from edged.policy.document import Rule, Then

MAX_OVERRIDE_S: Final = 7 * 86400.0
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
    return Rule(name=NAME, description=description, when=({"model": override.model},), then=override.then)


def left_s(override: Override, *, unix_s: float, boot_s: float) -> float:
    """Return for how many seconds an override goes on; 0 or less when it is over.

    Args:
        override: Of this start of the machine (``carried_over``).
        unix_s: The wall clock.
        boot_s: Seconds since the machine was started.
    """
    return min(override.until_unix_s - unix_s, override.until_boot_s - boot_s)


def carried_over(override: Override, *, unix_s: float, boot_id: str, boot_s: float) -> Override:
    """Return an override as it counts in this start of the machine, which may be another one than it was begun in."""
    if override.boot_id == boot_id:
        return override
    remaining_s = min(override.for_s, override.until_unix_s - unix_s)
    return replace(override, boot_id=boot_id, until_boot_s=boot_s + remaining_s)


def then_text(then: Then) -> str:
    """Say in a few words what is asked for."""
    if then.deny is not None:
        return f"deny: {then.deny}"
    if then.defer_s is not None:
        return f"defer for {then.defer_s:g} s"
    return f"variant {', '.join(then.variants)}" if then.variants else "run"
