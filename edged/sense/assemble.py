"""From what the kernel showed to what the device knows of itself: one context after each look, and what has to be remembered. Pure.

What does not come from sensors (idle time, the network, the wall clock, flags, labels, the regulatory mode) is left as it is by default:
whoever keeps the context adds it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edged.sense import batteries, energy, forecast, levels, lies, pressure, slowing
from edged.sense.accelerators import accelerators
from edged.sense.context import Context, Level, PowerSource
from edged.sense.forecast import Samples
from edged.sense.levels import Heat, Standings
from edged.sense.lies import Witnesses
from edged.sense.power import SupplyText, plugged_in, supply_of
from edged.sense.reading import Reading, known, unknown
from edged.sense.snapshot import Snapshot
from edged.sense.temperatures import Temperature, temperatures_of, why_none


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is remembered from one look to the next."""

    standings: Standings = field(default_factory=dict)
    """The levels of the sensors of temperature."""
    witnesses: Witnesses = field(default_factory=dict)
    samples: Samples = field(default_factory=dict)
    counts: slowing.Counts | None = None
    energy_counters: energy.Counters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """One sensor, for people."""

    name: str
    quantity: str
    """What it is about: ``temperature``, ``adapter``, ``battery``, ``power``, ``clock``, ``slowed``."""
    value: Reading[Any]
    unit: str = ""
    note: str = ""
    """What else there is to know about it: where its levels begin, why it does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """The result of a look."""

    context: Context
    history: History
    """To be given to the next one."""
    sensors: tuple[Sensor, ...]
    draws: tuple[energy.Draw, ...]
    """What the device and its parts draw."""


def assemble(snapshot: Snapshot, history: History, *, now_s: float, cool_s: float = levels.COOL_S) -> Assembled:
    """Judge a look.

    Args:
        snapshot: What the kernel showed.
        history: What the look before returned; an empty one for the first.
        now_s: Monotonic.
        cool_s: For how long a sensor has to be cooler before it leaves a level.
    """
    if snapshot.why_unreadable:
        return _blind(snapshot.why_unreadable, history)
    temperatures = temperatures_of(snapshot.of("zones"), snapshot.of("monitors"))
    judgement = lies.judge(history.witnesses, temperatures, now_s=now_s)
    heats = _believed(temperatures, judgement.lies)
    standings = levels.advance(history.standings, heats, now_s=now_s, cool_s=cool_s)
    samples = forecast.keep(history.samples, heats, now_s=now_s)
    counts = slowing.count(history.counts, snapshot, now_s=now_s)
    counters = energy.count_energy(history.energy_counters, snapshot, now_s=now_s)
    supplies = [supply_of(device) for device in snapshot.of("supplies")]
    # A device whose supplies cannot be seen is not one without batteries.
    unseen = snapshot.unlisted.get("supplies")
    draws = energy.draws(snapshot, counters, supplies)
    level = levels.level_of(standings)
    context = Context(
        thermal=unknown(why_none(temperatures)) if level is None else known(level),
        headroom=_headroom(heats, temperatures),
        hottest_celsius=_hottest(heats, temperatures),
        next_level_s=_next_level(samples, heats, level),
        throttled=slowing.is_throttled(snapshot, counts, now_s=now_s),
        power=_power(supplies) if unseen is None else unknown(unseen),
        battery_percent=batteries.battery_percent(supplies) if unseen is None else unknown(unseen),
        power_watts=energy.device_watts(draws),
        cpu_pressure=pressure.pressure(snapshot, "cpu"),
        memory_pressure=pressure.pressure(snapshot, "memory"),
        io_pressure=pressure.pressure(snapshot, "io"),
        load_per_core=pressure.load_per_core(snapshot),
        memory_available_bytes=pressure.memory_available_bytes(snapshot),
        accelerators=accelerators(snapshot),
        complaints=tuple(_complaints(judgement.lies, supplies)),
    )
    return Assembled(
        context=context,
        history=History(
            standings=standings,
            witnesses=judgement.witnesses,
            samples=samples,
            counts=counts,
            energy_counters=counters,
        ),
        sensors=(
            *_temperature_sensors(temperatures, judgement.lies),
            *_other_sensors(snapshot, supplies, draws, slowing.slowed_by(snapshot, counts, now_s=now_s)),
        ),
        draws=draws,
    )


def _blind(reason: str, history: History) -> Assembled:
    """Nothing can be read: what is remembered stays, and nothing is known."""
    nothing: Reading[Any] = unknown(reason)
    context = Context(
        thermal=nothing,
        headroom=nothing,
        hottest_celsius=nothing,
        next_level_s=nothing,
        throttled=nothing,
        power=nothing,
        battery_percent=nothing,
        power_watts=nothing,
        cpu_pressure=nothing,
        memory_pressure=nothing,
        io_pressure=nothing,
        load_per_core=nothing,
        memory_available_bytes=nothing,
    )
    return Assembled(context=context, history=history, sensors=(), draws=())


def _believed(temperatures: Sequence[Temperature], doubted: Mapping[str, str]) -> dict[str, Heat]:
    return {
        sensor.name: Heat(
            celsius=sensor.celsius.value,
            thresholds=levels.thresholds(sensor.part, sensor.limits),
        )
        for sensor in temperatures
        if sensor.celsius.value is not None and sensor.name not in doubted
    }


def _headroom(heats: Mapping[str, Heat], temperatures: Sequence[Temperature]) -> Reading[float]:
    if not heats:
        return unknown(why_none(temperatures))
    return known(round(max(heat.thresholds.headroom(heat.celsius) for heat in heats.values()), 3))


def _hottest(heats: Mapping[str, Heat], temperatures: Sequence[Temperature]) -> Reading[float]:
    if not heats:
        return unknown(why_none(temperatures))
    return known(max(heat.celsius for heat in heats.values()))


def _next_level(samples: Samples, heats: Mapping[str, Heat], level: Level | None) -> Reading[float]:
    if level is None or not heats:
        return unknown("how warm it is is not known")
    if level is Level.CRITICAL:
        return unknown("there is no level above this one")
    seconds = forecast.next_level_s(samples, heats, level=level)
    return unknown("it does not get warmer, or too slowly") if seconds is None else known(round(seconds))


def _power(supplies: Sequence[SupplyText]) -> Reading[PowerSource]:
    plugged = plugged_in(supplies)
    if plugged.value is None:
        return unknown(plugged.reason)
    return known(PowerSource.MAINS if plugged.value else PowerSource.BATTERY)


def _complaints(doubted: Mapping[str, str], supplies: Sequence[SupplyText]) -> Iterator[str]:
    yield from (f"{name}: {why}" for name, why in sorted(doubted.items()))
    for supply in supplies:
        if batteries.is_absurd(supply):
            yield f"{supply.name}: a battery cannot be {supply.capacity} % full"


def _temperature_sensors(temperatures: Sequence[Temperature], doubted: Mapping[str, str]) -> Iterator[Sensor]:
    for sensor in temperatures:
        begin = levels.thresholds(sensor.part, sensor.limits)
        yield Sensor(
            name=sensor.name,
            quantity="temperature",
            value=sensor.celsius,
            unit="degC",
            note=f"does not count: {doubted[sensor.name]}"
            if sensor.name in doubted
            else f"{sensor.part}: fair {begin.fair:g}, serious {begin.serious:g}, critical {begin.critical:g} degC",
        )


def _other_sensors(
    snapshot: Snapshot, supplies: Sequence[SupplyText], draws: Sequence[energy.Draw], slowed_by: Sequence[str]
) -> Iterator[Sensor]:
    for supply in supplies:
        yield from _supply_sensors(supply)
    for draw in draws:
        yield Sensor(name=draw.name, quantity="power", value=draw.watts, unit="W", note=f"of the {draw.extent}")
    for clock in slowing.clocks(snapshot):
        limit = f", capped to {clock.limit_hertz / 1e6:.0f}" if clock.is_capped else ""
        yield Sensor(
            name=clock.name,
            quantity="clock",
            value=unknown("it is not said") if clock.hertz is None else known(clock.hertz),
            unit="Hz",
            note=f"of {clock.highest_hertz / 1e6:.0f} MHz{limit}",
        )
    yield from (Sensor(name=what, quantity="slowed", value=known(value=True)) for what in slowed_by)


def _supply_sensors(supply: SupplyText) -> Iterator[Sensor]:
    if not supply.is_of_device:
        return
    if not supply.is_battery:
        is_online: Reading[bool] = known(supply.is_online) if supply.online else unknown("it is not said")
        yield Sensor(name=supply.name, quantity="adapter", value=is_online, note=supply.type)
    elif supply.present != "0":
        yield Sensor(
            name=supply.name,
            quantity="battery",
            value=batteries.battery_percent([supply]),
            unit="%",
            note=supply.status,
        )
