"""When a lease has run out: whether a device has seen a fresh timestamp of the repository lately, although its clock may be wrong. Pure.

Two clocks are asked, because each fails where the other does not: the one that runs since the machine started (``CLOCK_BOOTTIME``), which
never jumps and knows nothing of the time before; and the wall clock, as it is trusted for judging expiry, which may be set at any moment.

(1) seen while this daemon runs     the age is what has passed since then on the first clock; the wall clock may say what it likes
(2) seen before                     the age is what the wall clock says, or what has passed since the daemon started, if that is more
(3) the wall clock jumps forward    in (2) it is not believed for ``GRACE_S``: an updater that reaches the repository sees a fresh timestamp
                                    within that time, which makes it (1)
(4) never seen                      the age is what has passed since the daemon started

So a clock that is set wrong while the daemon runs stops nothing that can still ask the repository, and one that is wrong from the start
does so only until it is set right or the repository is reached. A device without a clock of its own that is offline from its start on
counts from there: (2) then says too little, never too much.
"""

from dataclasses import dataclass
from typing import Final

GRACE_S: Final = 900.0
"""Longer than it takes an updater that works to see and to note a fresh timestamp (``edged.ops.standing.REFRESHED_EVERY_S``)."""
JUMP_S: Final = 60.0
"""What the wall clock may gain on the other between two looks, which are seconds apart, and still be said to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The last time that a fresh timestamp was seen, as far as a daemon can tell."""

    seen_unix_s: float | None
    """What the updater wrote; None when it never did."""
    noticed_s: float
    """When the daemon noticed, on the clock that never jumps."""
    is_live: bool
    """It changed while the daemon ran, rather than being there when it started."""


def age_s(sighting: Sighting, *, now_s: float, steady_unix_s: float | None) -> float:
    """Return how long ago a fresh timestamp was seen, in seconds, by the rules above.

    Args:
        sighting: The last one.
        now_s: On the clock that never jumps.
        steady_unix_s: The wall clock; None while it is not believed.
    """
    passed_s = now_s - sighting.noticed_s
    if sighting.is_live or sighting.seen_unix_s is None or steady_unix_s is None:
        return passed_s
    return max(passed_s, steady_unix_s - sighting.seen_unix_s)


class SteadyClock:
    """Tells whether the wall clock may be believed.

    Args:
        unix_s: What it says now.
        now_s: What the clock says that never jumps.
    """

    def __init__(self, *, unix_s: float, now_s: float) -> None:
        self._offset_s = unix_s - now_s
        self._jumped_s: float | None = None

    def look(self, *, unix_s: float, now_s: float) -> float | None:
        """Take note of the time; returns the wall clock's, or None while it is not believed."""
        offset_s = unix_s - now_s
        if offset_s - self._offset_s > JUMP_S:
            self._jumped_s = now_s
        self._offset_s = offset_s
        if self._jumped_s is not None and now_s - self._jumped_s < GRACE_S:
            return None
        return unix_s
