"""What a device knows about itself at one moment, as one immutable value that policies are judged by. Pure.

Every quantity is a ``Reading``: a value, or the reason why there is none. What is not known is never taken for a good value. Whoever
makes a context has applied the hysteresis of levels (``edged.sense.levels``): two contexts may differ although the sensors read the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final

from edged.sense.reading import Reading, unknown


class Level(IntEnum):
    """How close heat has come to what a device can bear."""

    NOMINAL = 0
    FAIR = 1
    SERIOUS = 2
    CRITICAL = 3


class PowerSource(StrEnum):
    """What a device runs on."""

    MAINS = "mains"
    BATTERY = "battery"


class Link(StrEnum):
    """Whether the gate reaches anything, and over what."""

    OFFLINE = "offline"
    ETHERNET = "ethernet"
    WIFI = "wifi"
    CELLULAR = "cellular"
    OTHER = "other"


_NOT_READ: Final[Reading[Any]] = unknown("not read yet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One moment of a device. The names of the fields are those of ``edged.policy.quantities``, of the API and of ``--set``."""

    serial: int = 0
    """Grows with every context that differs from the one before."""
    at_unix_s: float = 0.0
    thermal: Reading[Level] = _NOT_READ
    headroom: Reading[float] = _NOT_READ
    """Heat as a share of what is severe: 1.0 is where ``serious`` begins; more is possible."""
    hottest_celsius: Reading[float] = _NOT_READ
    next_level_s: Reading[float] = _NOT_READ
    """Seconds until the next level is reached, if it goes on as in the last minutes; unknown while it does not get warmer."""
    throttled: Reading[bool] = _NOT_READ
    """Whether the hardware or the kernel slows something down because of heat or voltage now."""
    power: Reading[PowerSource] = _NOT_READ
    battery_percent: Reading[float] = _NOT_READ
    power_watts: Reading[float] = _NOT_READ
    """What the whole device draws."""
    cpu_pressure: Reading[float] = _NOT_READ
    """PSI ``some`` of the last 10 s, percent of time (Documentation/accounting/psi.rst)."""
    memory_pressure: Reading[float] = _NOT_READ
    io_pressure: Reading[float] = _NOT_READ
    load_per_core: Reading[float] = _NOT_READ
    """Load average of one minute over the number of cores."""
    memory_available_bytes: Reading[int] = _NOT_READ
    idle_s: Reading[float] = _NOT_READ
    """Whole seconds without an interactive request and, where ``edged-presence`` runs, without a person at the device."""
    link: Reading[Link] = _NOT_READ
    metered: Reading[bool] = _NOT_READ
    round_trip_s: Reading[float] = _NOT_READ
    minute_of_day: Reading[int] = _NOT_READ
    """0 to 1439, local time; unknown while the clock cannot be trusted."""
    clock_trusted: Reading[bool] = _NOT_READ
    accelerators: frozenset[str] = frozenset({"cpu"})
    regulatory: str = "standard"
    """The name of the mode that the administrator set."""
    flags: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    """Of the fleet, as they are on this device."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of this device."""
    complaints: tuple[str, ...] = ()
    """Sensors that were found to lie, and how; none of them counts in the readings above."""
