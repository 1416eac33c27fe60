"""What the device's sensors and its clock say, in the terms of the quiet window."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edged.activation.window import Conditions
from edged.clock import Clock
from edged.sense.reading import Reading, unknown
from edged.sense.sysfs import SYSFS, read_hottest_celsius, read_plugged_in

CLOCK_MARGIN_S: Final = 3600.0
"""A clock may be so much behind the newest time that a publisher signed: theirs may be a little ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """One look at all of it."""

    plugged_in: Reading[bool]
    hottest_celsius: Reading[float]
    unix_s: Reading[float]
    """The wall clock, where it can be trusted."""

    def conditions(self, *, idle_s: float) -> Conditions:
        """Say it as the window's rules are judged by."""
        readings: dict[str, Reading[float] | Reading[bool]] = {
            "minute_of_day": self.unix_s,
            "is_plugged_in": self.plugged_in,
            "hottest_c": self.hottest_celsius,
        }
        return Conditions(
            minute_of_day=None if self.unix_s.value is None else local_minute(self.unix_s.value),
            idle_s=idle_s,
            is_plugged_in=self.plugged_in.value,
            hottest_c=self.hottest_celsius.value,
            unknown=tuple((name, reading.reason) for name, reading in readings.items() if reading.value is None),
        )


NOT_READ: Final = Surroundings(
    plugged_in=unknown("not read yet"), hottest_celsius=unknown("not read yet"), unix_s=unknown("not read yet")
)


class Senses:
    """Looks at the sensors and the clock. What is behind them may be slow: not for the event loop.

    Args:
        clock: The machine's.
        trusted_unix_s: Returns the best known time, never before the build of this package or the newest signed time.
        sysfs: Where the kernel shows its sensors.
    """

    def __init__(self, *, clock: Clock, trusted_unix_s: Callable[[], float], sysfs: Path = SYSFS) -> None:
        self._clock = clock
        self._trusted_unix_s = trusted_unix_s
        self._sysfs = sysfs

    def look(self) -> Surroundings:
        """Read everything once."""
        return Surroundings(
            plugged_in=read_plugged_in(self._sysfs),
            hottest_celsius=read_hottest_celsius(self._sysfs),
            unix_s=read_clock(system_s=self._clock.unix_s(), trusted_s=self._trusted_unix_s()),
        )


def read_clock(*, system_s: float, trusted_s: float) -> Reading[float]:
    """Return what the wall clock says, unless it must be wrong: it is behind a moment that has certainly passed."""
    if trusted_s - system_s <= CLOCK_MARGIN_S:
        return Reading(value=system_s)
    shown, known = (datetime.fromtimestamp(at_s, tz=UTC).strftime("%Y-%m-%d") for at_s in (system_s, trusted_s))
    return unknown(f"the clock is wrong: it says {shown}, and {known} has been")


def local_minute(unix_s: float) -> int:
    """Return the minute of the day on the clock on the wall, 0 to 1439."""
    # Without this a process keeps the time zone that it started with, whatever an administrator sets (tzset(3)).
    time.tzset()
    now = time.localtime(unix_s)
    return now.tm_hour * 60 + now.tm_min
