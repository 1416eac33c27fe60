"""Time as an argument: real clocks for the roots, and the rule for a wall clock that may be wrong."""

import time
from pathlib import Path
from typing import Final, Protocol

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Where parts of edged read time from, so that tests can hold it still."""

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back; only differences mean anything."""
        ...

    def unix_s(self) -> float:
        """Return seconds since 1970 on the wall clock, which may be wrong."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic_s(self) -> float:
        """Return CLOCK_MONOTONIC in seconds."""
        return time.monotonic()

    def unix_s(self) -> float:
        """Return CLOCK_REALTIME in seconds."""
        return time.time()


def utc_date(unix_s: float) -> str:
    """Return the day of a moment in UTC, as ``2026-11-23``."""
    return time.strftime("%Y-%m-%d", time.gmtime(unix_s))


def trusted_unix_s(*, system_s: float, built_s: float, signed_s: float) -> float:
    """Choose the wall clock to judge expiry by.

    A machine without a battery-backed clock wakes up in 1970; it cannot be earlier than the moment this package was built,
    nor than the newest moment a trusted signer has vouched for.

    Args:
        system_s: What the system clock says, Unix seconds.
        built_s: When this package was built, Unix seconds.
        signed_s: The newest signed "issued" time seen, Unix seconds; 0 when none was.
    """
    return max(system_s, built_s, signed_s)


def read_boot_id() -> str:
    """Return the kernel's ID of this start of the machine (random(4)); empty where it does not say."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
