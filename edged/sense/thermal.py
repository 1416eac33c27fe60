"""How warm a device is: its hottest thermal zone. Pure.

The kernel reports millidegrees Celsius (Documentation/ABI/testing/sysfs-class-thermal). Zones without a sensor behind them report
whatever their register holds: values outside of what electronics survives are no temperatures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edged.sense.reading import Reading, known, unknown

MIN_CELSIUS: Final = -40.0
MAX_CELSIUS: Final = 150.0
_MILLI: Final = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneText:
    """A thermal zone as it reads."""

    name: str
    """``thermal_zone0``."""
    temp: str | None
    """The contents of ``temp``; None where it cannot be read, as of a zone that is switched off."""


def hottest(zones: Sequence[ZoneText]) -> Reading[float]:
    """Return the temperature of the hottest zone, degrees Celsius; zones that make no sense do not count."""
    temperatures = [celsius for zone in zones if (celsius := parse_celsius(zone.temp)) is not None]
    if temperatures:
        return known(max(temperatures))
    if zones:
        return unknown(f"no usable temperature in {', '.join(zone.name for zone in zones)}")
    return unknown("this device has no thermal zone")


def parse_celsius(text: str | None) -> float | None:
    """Read the contents of a zone's ``temp``; None for what is no temperature."""
    try:
        celsius = int(text or "") / _MILLI
    except (ValueError, OverflowError):
        return None
    return celsius if MIN_CELSIUS <= celsius <= MAX_CELSIUS else None
