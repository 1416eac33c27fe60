"""The frequencies that a wish asks for, and what they were before (Documentation/admin-guide/pm/cpufreq.rst). Pure.

1. A cap is that share of what the hardware can do (``cpuinfo_max_freq``), and never below the least it can do.
2. It is never above what was set before edged capped anything: an administrator's own cap stays.
3. Without a wish each processor gets back what was set before, unless somebody has set something else meanwhile: that stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edged.codec import Document
from edged.frequency.wish import WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Processors:
    """A policy of cpufreq: processors that share their frequency. All in kHz."""

    name: str
    """``policy0``."""
    least: int
    most: int
    limit: int
    """``scaling_max_freq``."""


class Capped(Document, frozen=True, kw_only=True):
    """What was done to a policy."""

    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What to write, and what to remember."""

    limits: Mapping[str, int]
    capped: Mapping[str, Capped]


def choose_caps(all_processors: Sequence[Processors], share: float, known: Mapping[str, Capped]) -> Outcome:
    """Choose the limits by the rules above.

    Args:
        all_processors: As they are.
        share: As wished; 1 is no wish.
        known: What was done before and not undone.
    """
    limits: dict[str, int] = {}
    capped: dict[str, Capped] = {}
    for processors in all_processors:
        done = known.get(processors.name)
        is_ours = done is not None and done.after == processors.limit
        before = done.before if done is not None and is_ours else processors.limit
        wanted = before if share >= WHOLE else min(before, max(processors.least, round(processors.most * share)))
        if wanted != processors.limit:
            limits[processors.name] = wanted
        if wanted != before:
            capped[processors.name] = Capped(before=before, after=wanted)
    return Outcome(limits=limits, capped=capped)
