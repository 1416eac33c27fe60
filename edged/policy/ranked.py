"""A rule in its place among all rules of a device. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edged.policy.ask import Ask
from edged.policy.document import Rule
from edged.sense.context import Context

Origin = Literal["override", "local", "remote", "packaged", "built-in"]
"""Whose rule it is; in this order they are asked (``edged.policy.combine``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedRule:
    """A rule that is ready to be asked."""

    rule: Rule
    origin: Origin
    dwell_s: float
    """Of the policy that it is from."""
    applies: Callable[[Context, Ask], str | None]
    """Returns what made it apply, in words, or None when it does not."""
    why_not: Callable[[Context, Ask], tuple[str, ...]]
    """Returns what each of its alternatives lacks, in words; for explanations, not for decisions."""
