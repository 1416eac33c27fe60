"""From temperatures to levels: where each begins for a sensor, and when a level is left again. Pure.

Where levels begin, degrees Celsius:

(1) serious    at the highest passive trip point below what is critical: there the kernel slows things down to stay below it. Without one,
               at the default of the part (``edged.sense.parts``), but below critical in any case.
(2) critical   5 degrees before the lowest hot or critical trip point, where firmware acts or the device is switched off; halfway from
               serious where that is nearer. Without such a point, at the default of the part, but 10 above serious at least. A default
               that is lower than the trip points' counts where no passive point says that the kernel knows this part.
(3) fair       at the lowest passive trip point where there are several, else 10 degrees before serious.

When levels change: up at once. Down by one level at a time, after the sensor was for 30 s without a break below where its level begins,
less 5 degrees, or less the trip points' hysteresis where that is more. Each further level down takes its own 30 s.

A sensor that says nothing any more, or is not believed, keeps its level and loses it in the same steps, as if it had gone cold: it never
makes a device cool at once. The level of a device is the highest of its sensors; while none of them can be believed and no level is kept,
nothing is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from edged.sense.context import Level
from edged.sense.parts import MANNERS, Part
from edged.sense.temperatures import Limits

COOL_S: Final = 30.0
"""For so long a sensor has to be cooler before it leaves a level, unless the settings say otherwise."""
HYSTERESIS_CELSIUS: Final = 5.0
BEFORE_CRITICAL_CELSIUS: Final = 5.0
STEP_CELSIUS: Final = 10.0
HEADROOM_SPAN_CELSIUS: Final = 30.0
"""Headroom is 0 so far below serious, and 1 at serious, as Android's thermal headroom is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Where levels begin for one sensor, degrees Celsius."""

    fair: float
    serious: float
    critical: float
    hysteresis: float = HYSTERESIS_CELSIUS

    def level_at(self, celsius: float) -> Level:
        """Return the level of a temperature, whatever was before."""
        if celsius >= self.critical:
            return Level.CRITICAL
        if celsius >= self.serious:
            return Level.SERIOUS
        return Level.FAIR if celsius >= self.fair else Level.NOMINAL

    def begins(self, level: Level) -> float:
        """Return where a level above nominal begins."""
        return {Level.FAIR: self.fair, Level.SERIOUS: self.serious, Level.CRITICAL: self.critical}[level]

    def headroom(self, celsius: float) -> float:
        """Return heat as a share of what is serious, 0 or more."""
        return max(0.0, 1.0 + (celsius - self.serious) / HEADROOM_SPAN_CELSIUS)


@lru_cache(maxsize=256)
def thresholds(part: Part, limits: Limits) -> Thresholds:
    """Tell by the rules above where the levels of a sensor begin."""
    default = MANNERS[part]
    ends = [end for end in (limits.hot, limits.critical) if end is not None]
    end = min(ends, default=None)
    passive = [celsius for celsius in limits.passive if end is None or celsius < end]
    if passive:
        serious = passive[-1]
        critical = max(default.critical, serious + STEP_CELSIUS) if end is None else _before(end, serious)
    elif end is None:
        serious, critical = default.serious, default.critical
    else:
        critical = min(default.critical, end - BEFORE_CRITICAL_CELSIUS)
        serious = min(default.serious, critical - BEFORE_CRITICAL_CELSIUS)
    fair = passive[0] if len(passive) > 1 else serious - STEP_CELSIUS
    return Thresholds(
        fair=min(fair, serious),
        serious=serious,
        critical=critical,
        hysteresis=max(HYSTERESIS_CELSIUS, limits.hysteresis),
    )


def _before(end: float, serious: float) -> float:
    return max(end - BEFORE_CRITICAL_CELSIUS, (end + serious) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """What a sensor that is believed says now."""

    celsius: float
    thresholds: Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The level that a sensor has."""

    level: Level
    cooler_since_s: float | None = None
    """Since when it was cool enough to leave the level without a break; monotonic. None while it is not."""


Standings = Mapping[str, Standing]


def advance(standings: Standings, heats: Mapping[str, Heat], *, now_s: float, cool_s: float = COOL_S) -> Standings:
    """Return the levels of all sensors after a look.

    Args:
        standings: The levels before, by sensor.
        heats: What those sensors say that are believed now.
        now_s: Monotonic.
        cool_s: For how long a sensor has to be cooler before it leaves a level.
    """
    after = {name: _advance(standings.get(name), heat, now_s, cool_s) for name, heat in heats.items()}
    for name in standings.keys() - heats.keys():
        before = standings[name]
        if before.level > Level.NOMINAL and (kept := _cool(before, now_s, cool_s)).level > Level.NOMINAL:
            after[name] = kept
    return after


def level_of(standings: Standings) -> Level | None:
    """Return the level of the device; None while nothing is known."""
    return max((standing.level for standing in standings.values()), default=None)


def _advance(before: Standing | None, heat: Heat, now_s: float, cool_s: float) -> Standing:
    level = heat.thresholds.level_at(heat.celsius)
    if before is None or level >= before.level:
        return Standing(level=level)
    if heat.celsius < heat.thresholds.begins(before.level) - heat.thresholds.hysteresis:
        return _cool(before, now_s, cool_s)
    return Standing(level=before.level)


def _cool(before: Standing, now_s: float, cool_s: float) -> Standing:
    """Count the time that a sensor is cooler, and take it down a level when that was long enough."""
    since_s = now_s if before.cooler_since_s is None else before.cooler_since_s
    if now_s - since_s < cool_s:
        return Standing(level=before.level, cooler_since_s=since_s)
    return Standing(level=Level(before.level - 1), cooler_since_s=now_s)
