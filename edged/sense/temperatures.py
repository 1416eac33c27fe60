"""Temperatures: of thermal zones, and of hardware monitors that are no zones, each with the limits that the kernel states for it. Pure.

All are millidegrees Celsius (Documentation/ABI/testing/sysfs-class-thermal and sysfs-class-hwmon). Sensors without anything behind them
report whatever their register holds: values outside of what electronics survives are no temperatures. Limits that no part can have mean
that there is none: drivers write 0, -273 or 65261 degrees there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from edged.sense.parts import Part, may_hang_loose, part_of
from edged.sense.reading import Reading, known, unknown
from edged.sense.snapshot import SLEEPS, DeviceText

MIN_CELSIUS: Final = -40.0
MAX_CELSIUS: Final = 150.0
_MIN_LIMIT_CELSIUS: Final = 30.0
_UNSET_CELSIUS: Final = (127.0, 128.0)
"""Between these is the end of what eight bits can say, where many monitors have their maximum until somebody sets one."""
_MILLI: Final = 1000.0
_STANDS_FOR_NOTHING: Final[Mapping[str, float]] = {"PMIC-Die": 100.0, "INT3400 Thermal": 20.0}
"""A max77620 knows three states, and reports 100 degrees for "normal" (drivers/thermal/max77620_thermal.c); on NVIDIA's Jetsons. The
zone by which Intel's laptops are told of policies has no sensor, and reports 20 degrees always (int3400_thermal.c)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the kernel says that a part can bear, degrees Celsius."""

    passive: tuple[float, ...] = ()
    """Where the kernel begins to slow things down, lowest first (Documentation/driver-api/thermal/sysfs-api.rst)."""
    hot: float | None = None
    """Where firmware is told of an emergency."""
    critical: float | None = None
    """Where the device is switched off."""
    hysteresis: float = 0.0
    """By how much it has to cool before the kernel lets go of a limit; the largest of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """One sensor."""

    name: str
    """``thermal_zone0 (cpu-thermal)``, ``hwmon2 temp1 (nvme Composite)``."""
    part: Part
    celsius: Reading[float]
    limits: Limits
    is_absurd: bool = False
    """It reads what no temperature can be."""
    rests: bool = False
    """It says nothing, and is not meant to: it is switched off, sleeps, or has nothing to say at the moment."""


def temperatures_of(zones: Sequence[DeviceText], monitors: Sequence[DeviceText]) -> tuple[Temperature, ...]:
    """Return every sensor, whether or not it says anything."""
    return (
        *(_of_zone(zone) for zone in zones),
        *(sensor for monitor in monitors for sensor in _of_monitor(monitor)),
    )


def why_none(temperatures: Sequence[Temperature]) -> str:
    """Say why there is no temperature where none of these is of use."""
    if temperatures:
        return f"no usable temperature in {', '.join(sensor.name for sensor in temperatures)}"
    return "this device has no sensor of temperature"


def parse_celsius(text: str | None) -> float | None:
    """Read millidegrees; None for what is no temperature."""
    try:
        celsius = int(text or "") / _MILLI
    except (ValueError, OverflowError):
        return None
    return celsius if MIN_CELSIUS <= celsius <= MAX_CELSIUS else None


def _of_zone(zone: DeviceText) -> Temperature:
    kind = zone.texts.get("type", "")
    celsius, is_absurd = _celsius(zone, "temp")
    if rests := zone.texts.get("mode") == "disabled":
        celsius = unknown("the zone is switched off")
    elif celsius.value is not None and celsius.value == _STANDS_FOR_NOTHING.get(kind):
        celsius, rests = unknown(f"it says {celsius.value:.0f} degC in place of a temperature"), True
    return Temperature(
        name=f"{zone.name} ({kind})" if kind else zone.name,
        part=part_of(kind),
        celsius=celsius,
        limits=_zone_limits(tuple((name, text) for name, text in zone.texts.items() if name.startswith("trip_point_"))),
        is_absurd=is_absurd and not rests,
        rests=rests,
    )


@lru_cache(maxsize=256)
def _zone_limits(trips: tuple[tuple[str, str], ...]) -> Limits:
    texts = dict(trips)
    points: dict[str, list[float]] = {}
    hysteresis = 0.0
    for name, kind in texts.items():
        number = name.removesuffix("_type")
        if number == name or (celsius := _limit(texts.get(f"{number}_temp"))) is None:
            continue
        points.setdefault(kind, []).append(celsius)
        # Where a fan starts says nothing about the part.
        if kind != "active":
            hysteresis = max(hysteresis, parse_celsius(texts.get(f"{number}_hyst")) or 0.0)
    return Limits(
        passive=tuple(sorted(points.get("passive", ()))),
        hot=min(points.get("hot", ()), default=None),
        critical=min(points.get("critical", ()), default=None),
        hysteresis=hysteresis,
    )


_INPUT: Final = re.compile(r"(temp\d+)_input")


def _of_monitor(monitor: DeviceText) -> Iterator[Temperature]:
    driver = monitor.texts.get("name", "")
    for attribute in (*monitor.texts, *monitor.errors):
        if (match := _INPUT.fullmatch(attribute)) is None:
            continue
        channel = match[1]
        label = monitor.texts.get(f"{channel}_label", "")
        part = part_of(driver, label)
        celsius, is_absurd = _celsius(monitor, attribute)
        if may_hang_loose(driver, part):
            celsius, is_absurd = unknown("nothing says what it is connected to, if anything"), False
        elif monitor.texts.get(f"{channel}_fault") == "1":
            celsius, is_absurd = unknown("its driver reports a fault"), False
        yield Temperature(
            name=f"{monitor.name} {channel} ({f'{driver} {label}'.strip()})",
            part=part,
            celsius=celsius,
            limits=_monitor_limits(
                monitor.texts.get(f"{channel}_max"),
                monitor.texts.get(f"{channel}_crit"),
                monitor.texts.get(f"{channel}_emergency"),
            ),
            is_absurd=is_absurd,
            rests=monitor.errors.get(attribute) == SLEEPS,
        )


@lru_cache(maxsize=256)
def _monitor_limits(maximum: str | None, critical: str | None, emergency: str | None) -> Limits:
    """Take a maximum for what should not be passed for long, unless it is what is critical, too, or was never set."""
    shut_down = _limit(critical) or _limit(emergency)
    highest = _limit(maximum)
    if highest is None or _UNSET_CELSIUS[0] <= highest <= _UNSET_CELSIUS[1]:
        return Limits(critical=shut_down)
    if shut_down is not None and highest >= shut_down:
        return Limits(critical=shut_down)
    return Limits(passive=(highest,), critical=shut_down)


def _celsius(device: DeviceText, attribute: str) -> tuple[Reading[float], bool]:
    text = device.texts.get(attribute)
    if text is None:
        return unknown(f"it cannot be read: {device.errors.get(attribute, 'it has no temperature')}"), False
    celsius = parse_celsius(text)
    if celsius is None:
        return unknown(f"it reads {text[:20]!r}, which is no temperature"), True
    return known(celsius), False


def _limit(text: str | None) -> float | None:
    celsius = parse_celsius(text)
    return celsius if celsius is not None and celsius >= _MIN_LIMIT_CELSIUS else None
