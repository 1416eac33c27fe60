"""How full a device's batteries are, and what is drawn from them. Pure.

The attributes are those of Documentation/ABI/testing/sysfs-class-power. Some batteries count energy (microwatt-hours), some charge
(microampere-hours), and some only say a percentage. Several batteries count by what they hold where all say it in the same unit, else
alike. Some drivers report a current that leaves a battery as negative, others as positive; whether it leaves is what ``status`` says.
"""

from collections.abc import Sequence
from typing import Final

from edged.sense.power import SupplyText, batteries_of
from edged.sense.reading import Reading, known, unknown
from edged.sense.snapshot import number_of

_MICRO: Final = 1e-6
MAX_PERCENT: Final = 105.0
"""Worn batteries may say a little more than 100, which counts as full; more than this is nonsense."""
MAX_WATTS: Final = 1000.0


def battery_percent(supplies: Sequence[SupplyText]) -> Reading[float]:
    """Return how full all of a device's batteries are together."""
    batteries = batteries_of(supplies)
    if not batteries:
        return unknown("this device has no battery")
    for unit in ("energy", "charge"):
        held = [_held(battery, unit) for battery in batteries]
        counts = [one for one in held if one is not None]
        if len(counts) == len(batteries):
            return _together(counts)
    shares = [percent for battery in batteries if (percent := _own_percent(battery)) is not None]
    if len(shares) < len(batteries):
        return unknown(f"{', '.join(battery.name for battery in batteries)}: how full is not said")
    return _together([(percent, 100.0) for percent in shares])


def battery_watts(supplies: Sequence[SupplyText]) -> Reading[float]:
    """Return what is drawn from the batteries, which is what the whole device draws while nothing else feeds it."""
    batteries = batteries_of(supplies)
    if not batteries:
        return unknown("this device has no battery")
    drained = [battery for battery in batteries if battery.status == "Discharging"]
    if not drained:
        return unknown("no battery is being drained")
    powers = [watts for battery in drained if (watts := _watts(battery)) is not None]
    if len(powers) < len(drained):
        return unknown(f"{', '.join(battery.name for battery in drained)}: power is not said")
    return known(sum(powers))


def is_absurd(supply: SupplyText) -> bool:
    """Whether a battery of the device says what none can."""
    percent = number_of(supply.capacity)
    return bool(batteries_of([supply])) and percent is not None and not 0 <= percent <= MAX_PERCENT


def _held(battery: SupplyText, unit: str) -> tuple[float, float] | None:
    now, full = (
        (battery.energy_now, battery.energy_full) if unit == "energy" else (battery.charge_now, battery.charge_full)
    )
    held, most = number_of(now), number_of(full)
    return (held, most) if held is not None and most is not None and most > 0 else None


def _own_percent(battery: SupplyText) -> float | None:
    """Return what a battery says of itself, or what can be computed from what it counts."""
    if (percent := number_of(battery.capacity)) is not None:
        return percent
    counted = _held(battery, "energy") or _held(battery, "charge")
    return None if counted is None else 100.0 * counted[0] / counted[1]


def _together(parts: Sequence[tuple[float, float]]) -> Reading[float]:
    """Return how full batteries are by what each holds and could; nothing where one says nonsense, however it evens out."""
    for now, full in parts:
        if not 0 <= (percent := 100.0 * now / full) <= MAX_PERCENT:
            return unknown(f"a battery cannot be {percent:.0f} % full")
    return known(min(100.0 * sum(now for now, _ in parts) / sum(full for _, full in parts), 100.0))


def _watts(battery: SupplyText) -> float | None:
    """Return what is drawn from one that is drained: never nothing, which drivers say that do not know it."""
    power, current, voltage = (
        number_of(text) for text in (battery.power_now, battery.current_now, battery.voltage_now)
    )
    watts = abs(power or 0) * _MICRO or abs(current or 0) * _MICRO * (voltage or 0) * _MICRO
    return watts if 0 < watts <= MAX_WATTS else None
