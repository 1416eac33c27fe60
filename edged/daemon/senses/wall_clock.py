"""What the clock on the wall says, and whether it can be believed."""

import time
from typing import Final

from edged.clock import utc_date
from edged.sense.reading import Reading, known, unknown

CLOCK_MARGIN_S: Final = 3600.0
"""A clock may be so much behind the newest time that a publisher signed: theirs may be a little ahead."""


def judge_clock(*, system_s: float, trusted_s: float) -> Reading[float]:
    """Return what the wall clock says, unless it must be wrong: it is behind a moment that has certainly passed.

    Args:
        system_s: What it says, Unix seconds.
        trusted_s: The best known time, never before the build of this package or the newest signed time.
    """
    if trusted_s - system_s <= CLOCK_MARGIN_S:
        return known(system_s)
    return unknown(f"the clock is wrong: it says {utc_date(system_s)}, and {utc_date(trusted_s)} has been")


def local_minute(unix_s: float) -> int:
    """Return the minute of the day on the clock on the wall, 0 to 1439."""
    # Without this a process keeps the time zone that it started with, whatever an administrator sets (tzset(3)).
    time.tzset()
    now = time.localtime(unix_s)
    return now.tm_hour * 60 + now.tm_min
