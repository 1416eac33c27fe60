"""The frequencies that a wish asks for, and what they were before (Documentation/admin-guide/pm/cpufreq.rst). Pure.

1. A cap is that share of what the hardware can do (``cpuinfo_max_freq``), and never below the least it can do.
2. It is never above what was set before edged capped anything: an administrator's own cap stays.
3. Without a wish each processor gets back what was set before, unless somebody has set something else meanwhile: that stays.
4. What the kernel shows (``scaling_max_freq``) is not what was written. It is the lowest of that and of what firmware and the kernel's own
   cooling ask for (freq QoS, drivers/cpufreq/cpufreq.c since Linux 5.4), rounded down to what the hardware has. Only what is above the
   limit that was written is certainly somebody else's; what is another than was shown then, and not above, may be (``is_doubtful``).
   Writing the same limit again tells: whatever else holds them back stays.
5. What was set before edged is read at the first look at which nothing can be hidden behind what is shown (``is_held_back``). Until then a
   processor is left alone: what an administrator has set is shown nowhere else, and to write would be to lose it for ever, so that it could
   be neither kept to nor given back. Meanwhile the processor is no faster than the kernel lets it be. It is looked at again with each wish;
   and the wish is stated once more when nothing has slowed the device down for a while (``edged.daemon.frequency``). A limit that somebody
   has set above edged's is read in the same way.

Known limits: who sets less than edged did while the kernel holds the processors even further down is not noticed, because nothing shows it.
That firmware alone (``bios_limit``) does not hold a processor back any more is not noticed before the wish is another, and nor is it that
processors came back which were offline when it changed.
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
    """``scaling_max_freq``, as shown."""
    is_cooled: bool = False
    """Whether cooling of the kernel's is in action, of these or of other processors."""
    firmware_limit: int | None = None
    """What firmware allows at the moment; None where that is all there is, or not said."""


class Capped(Document, frozen=True, kw_only=True):
    """What was done to a policy. All in kHz."""

    before: int
    """What is set but for edged."""
    after: int
    """What edged wrote; ``before`` where it caps nothing."""
    shown: int
    """What the kernel showed then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What to write, and what to remember."""

    limits: Mapping[str, int]
    known: Mapping[str, Capped]
    """Processors, with what they show before anything is written; and those known that are not there now."""
    held_back: Sequence[str] = ()
    """Those that are left alone (rule 5)."""


def is_doubtful(processors: Processors, done: Capped) -> bool:
    """Tell whether only writing the same again can tell who set what is shown (rule 4)."""
    return processors.limit != done.shown and processors.limit <= done.after


def is_somebodys(processors: Processors, done: Capped) -> bool:
    """Tell whether what is shown was certainly set by somebody else."""
    return processors.limit > max(done.after, done.shown)


def is_held_back(processors: Processors) -> bool:
    """Tell whether what is shown may be the kernel's cooling or firmware, with a higher limit of somebody's behind it (rule 5)."""
    if processors.limit >= processors.most:
        return False
    return processors.is_cooled or (
        processors.firmware_limit is not None and processors.limit >= processors.firmware_limit
    )


def choose_caps(all_processors: Sequence[Processors], share: float, known: Mapping[str, Capped]) -> Outcome:
    """Choose the limits by the rules above.

    Args:
        all_processors: As they are.
        share: As wished; 1 is no wish.
        known: What was done before and not undone, without what somebody has changed meanwhile.
    """
    limits: dict[str, int] = {}
    held_back: list[str] = []
    all_known = dict(known)
    for processors in all_processors:
        done = known.get(processors.name)
        if done is None and is_held_back(processors):
            held_back.append(processors.name)
            continue
        before = processors.limit if done is None else done.before
        wanted = before if share >= WHOLE else min(before, max(processors.least, round(processors.most * share)))
        written = processors.limit if done is None else done.after
        # What only the kernel holds at that limit now would not stay there.
        if not wanted == written == processors.limit:
            limits[processors.name] = wanted
        all_known[processors.name] = Capped(before=before, after=wanted, shown=processors.limit)
    return Outcome(limits=limits, known=all_known, held_back=held_back)
