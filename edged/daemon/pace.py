"""How often something may be told of before it is only counted: a loose plug changes ten times a second.

So much in a time is told one by one. What is more is counted, and so is everything from then on, until a time has passed in which it would
not have been too much. At the end of each such time there is one number to tell, and none where nothing was kept back: however long it
goes on, it costs one line in that time, and the last thing that is told is always how it is now.
"""

from collections.abc import Callable
from typing import Any, Final

from edged.clock import Clock

EVENTS_MOST: Final = 5
EVENTS_PER_S: Final = 5.0
JOURNAL_MOST: Final = 10
JOURNAL_PER_S: Final = 60.0

Later = Callable[[float, Callable[[], None]], Any]
"""Has something be called after so many seconds, as the event loop's ``call_later``."""


class Pace:
    """Keeps count of one thing.

    Args:
        most: May be told of in each ``per_s``.
        per_s: Seconds.
    """

    def __init__(self, *, most: int, per_s: float) -> None:
        self._most = most
        self._per_s = per_s
        self._began_s = -per_s
        self._count = 0
        self._kept_back = 0
        self._is_too_fast = False

    def take(self, now_s: float) -> bool:
        """Count something that happens now; tells whether it may be told of.

        Where not, ``settle`` is due in ``left_s``.
        """
        if not self._kept_back and now_s - self._began_s >= self._per_s:
            self._begin(now_s)
        self._count += 1
        self._is_too_fast |= self._count > self._most
        self._kept_back += self._is_too_fast
        return not self._is_too_fast

    def left_s(self, now_s: float) -> float:
        """Return the seconds until what is kept back is to be told."""
        return max(0.0, self._began_s + self._per_s - now_s)

    def settle(self, now_s: float) -> int:
        """Begin the next time; returns how often it happened in the last one, and 0 if all of that was told."""
        count = self._count if self._kept_back else 0
        self._begin(now_s)
        return count

    def _begin(self, now_s: float) -> None:
        self._is_too_fast &= self._count > self._most
        self._began_s, self._count, self._kept_back = now_s, 0, 0


class Outlet:
    """Says of one thing whether it may be told of now, and has the rest told when that is due.

    Args:
        most: May be told of in each ``per_s``.
        per_s: Seconds.
        clock: Monotonic.
        later: Has it come back to what was kept back.
        settle: Called then, with how often it happened in that time, what was told included.
    """

    def __init__(self, *, most: int, per_s: float, clock: Clock, later: Later, settle: Callable[[int], None]) -> None:
        self._pace = Pace(most=most, per_s=per_s)
        self._clock = clock
        self._later = later
        self._settle = settle
        self._is_due = False

    def may_tell(self) -> bool:
        """Count something that happens now; tells whether it may be told of."""
        now_s = self._clock.monotonic_s()
        if self._pace.take(now_s):
            return True
        if not self._is_due:
            self._is_due = True
            self._later(self._pace.left_s(now_s), self._come_back)
        return False

    def _come_back(self) -> None:
        self._is_due = False
        self._settle(self._pace.settle(self._clock.monotonic_s()))
