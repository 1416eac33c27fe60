"""Sensors of temperature that lie: noticed, named, not counted, and believed again when they behave. Pure.

(1) absurd     it reads what no temperature can be. Until it reads one again.
(2) leaping    it went farther than the part can (``edged.sense.parts``), and back as fast, within 20 s. One way alone may be the truth, and
               is believed at once: a fan stopped, a part was exchanged, a device slept. Until it did not leap for 60 s.
(3) stuck      it read exactly the same for 10 minutes (of slow parts: two hours), while another sensor ranged over 15 degrees in the last
               10. A constant value alone is no lie: on a virtual machine nothing moves. Until it reads anything else.
(4) fickle     it vanished three times within 10 minutes. Until that is 10 minutes ago.
(5) vanished   it said something before, and does not now, and neither sleeps nor is switched off. For 10 minutes; after that it is not
               missed any more.

What a sensor said while it was believed keeps its level for a while (``edged.sense.levels``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from edged.sense.parts import MANNERS, Manners
from edged.sense.temperatures import Temperature

BACK_S: Final = 20.0
NO_LEAP_S: Final = 60.0
RANGE_S: Final = 600.0
MOVED_CELSIUS: Final = 15.0
FICKLE_TIMES: Final = 3
FICKLE_S: Final = 600.0
MISSED_S: Final = 600.0
_BUCKET_S: Final = 60.0
_LONG_AGO: Final = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The lowest and the highest that a sensor said in a minute."""

    since_s: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What is remembered of one sensor. Times are monotonic, temperatures degrees Celsius."""

    celsius: float
    """What it said last."""
    at_s: float
    same_since_s: float
    is_stuck: bool = False
    ranges: tuple[Range, ...] = ()
    leapt_at_s: float = _LONG_AGO
    leapt_up: bool = False
    is_leaping: bool = False
    is_here: bool = True
    vanished_at_s: tuple[float, ...] = ()


Witnesses = Mapping[str, Witness]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Who is believed after a look."""

    witnesses: Witnesses
    """For the next look."""
    lies: Mapping[str, str]
    """The sensors that are not believed, and why; vanished ones among them."""


def judge(witnesses: Witnesses, temperatures: Sequence[Temperature], *, now_s: float) -> Judgement:
    """Tell by the rules above which sensors lie.

    Args:
        witnesses: What the look before remembered.
        temperatures: What all sensors say now.
        now_s: Monotonic.
    """
    heard = {
        sensor.name: _hear(witnesses.get(sensor.name), sensor.celsius.value, MANNERS[sensor.part], now_s)
        for sensor in temperatures
        if sensor.celsius.value is not None
    }
    # One that kept still for so long is none of those that moved.
    any_moved = any(_moved(witness, now_s) >= MOVED_CELSIUS for witness in heard.values())
    for sensor in temperatures:
        if sensor.name in heard and _has_kept_still(heard[sensor.name], MANNERS[sensor.part], now_s):
            heard[sensor.name] = replace(heard[sensor.name], is_stuck=heard[sensor.name].is_stuck or any_moved)
    missed = dict(_missed(witnesses, heard, temperatures, now_s))
    lies = {name: f"it vanished; the last that it said is {gone.celsius:.1f} degC" for name, gone in missed.items()}
    lies |= {sensor.name: sensor.celsius.reason for sensor in temperatures if sensor.is_absurd}
    lies |= {name: why for name, witness in heard.items() if (why := _why_doubted(witness)) is not None}
    return Judgement(witnesses=heard | missed, lies=lies)


def _hear(before: Witness | None, celsius: float, manners: Manners, now_s: float) -> Witness:
    """Take note of what a sensor says."""
    afresh = (Range(since_s=now_s, low=celsius, high=celsius),)
    if before is None:
        return Witness(celsius=celsius, at_s=now_s, same_since_s=now_s, ranges=afresh)
    is_same = celsius == before.celsius
    is_up = celsius > before.celsius
    is_leap = abs(celsius - before.celsius) > manners.leap + manners.leap_per_s * (now_s - before.at_s)
    is_back = is_leap and is_up != before.leapt_up and now_s - before.leapt_at_s <= BACK_S
    leapt_at_s = now_s if is_leap else before.leapt_at_s
    is_leaping = is_back or (before.is_leaping and now_s - leapt_at_s < NO_LEAP_S)
    return Witness(
        celsius=celsius,
        at_s=now_s,
        same_since_s=before.same_since_s if is_same else now_s,
        is_stuck=before.is_stuck and is_same,
        # A liar's range is no proof against others.
        ranges=afresh if is_leaping else _widen(before.ranges, celsius, now_s),
        leapt_at_s=leapt_at_s,
        leapt_up=is_up if is_leap else before.leapt_up,
        is_leaping=is_leaping,
        vanished_at_s=tuple(at_s for at_s in before.vanished_at_s if now_s - at_s < FICKLE_S),
    )


def _missed(
    witnesses: Witnesses, heard: Witnesses, temperatures: Sequence[Temperature], now_s: float
) -> Iterator[tuple[str, Witness]]:
    """Take note of the sensors that say nothing any more, and should."""
    resting = {sensor.name for sensor in temperatures if sensor.rests}
    for name in witnesses.keys() - heard.keys() - resting:
        witness = witnesses[name]
        if witness.is_here:
            yield name, replace(witness, is_here=False, vanished_at_s=(*witness.vanished_at_s, now_s))
        elif now_s - witness.at_s < MISSED_S:
            yield name, witness


def _has_kept_still(witness: Witness, manners: Manners, now_s: float) -> bool:
    """Tell whether a sensor said the same for so long that it is worth a look at the others."""
    return now_s - witness.same_since_s >= manners.still_s


def _widen(ranges: tuple[Range, ...], celsius: float, now_s: float) -> tuple[Range, ...]:
    newest = ranges[-1]
    if now_s - newest.since_s >= _BUCKET_S:
        recent = (one for one in ranges if now_s - one.since_s <= RANGE_S)
        return (*recent, Range(since_s=now_s, low=celsius, high=celsius))
    if newest.low <= celsius <= newest.high:
        return ranges
    wider = replace(newest, low=min(newest.low, celsius), high=max(newest.high, celsius))
    return (*ranges[:-1], wider)


def _moved(witness: Witness, now_s: float) -> float:
    """Return the range of a sensor in the last minutes, degrees Celsius."""
    recent = [one for one in witness.ranges if now_s - one.since_s <= RANGE_S]
    return max((one.high for one in recent), default=0.0) - min((one.low for one in recent), default=0.0)


def _why_doubted(witness: Witness) -> str | None:
    """Say why a sensor is not believed; the same words for as long as it is so, because contexts are compared."""
    if witness.is_stuck:
        return f"it says {witness.celsius:.1f} degC all the time, while others move"
    if witness.is_leaping:
        return "it leaps farther and faster than its part can"
    if len(witness.vanished_at_s) >= FICKLE_TIMES:
        return "it comes and goes"
    return None
