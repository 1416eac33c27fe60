"""What a device and its parts draw, watts, where something measures it. Pure; what nothing measures is never guessed.

(1) battery    what is drawn from it is what the whole device draws, while nothing else feeds it
(2) rails      a power meter at the device's input: ACPI's (Documentation/hwmon/acpi_power_meter.rst), a monitor's channel that is labelled
               as the input, or current times voltage of such a channel (Documentation/hwmon/ina3221.rst: milliamperes, millivolts)
(3) counters   powercap counts energy (Documentation/power/powercap/powercap.rst): watts are what it grew by, over the time; it starts anew
               above ``max_energy_range_uj``. ``psys`` is the whole platform, a package is the processor. Only root may read them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from edged.sense.batteries import battery_watts
from edged.sense.power import SupplyText
from edged.sense.reading import Reading, known, unknown
from edged.sense.snapshot import DeviceText, Snapshot, number_of

_MICRO: Final = 1e-6
_MILLI: Final = 1e-3
MIN_INTERVAL_S: Final = 0.5
"""Counters that are read again sooner keep what was computed before: they are updated about every millisecond, unevenly."""
MAX_INTERVAL_S: Final = 60.0
"""A counter of 32 bits may have started anew more than once after about a minute (at 262 kJ and a server's 4 kW)."""
MAX_WATTS: Final = 4000.0
"""What would have grown faster did not: it was set to 0, as some are by a suspend, or went on while the device slept and nobody looked."""


class Extent(StrEnum):
    """How much of a device a measurement covers."""

    DEVICE = "device"
    PROCESSOR = "processor"
    PART = "part"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What something draws."""

    name: str
    extent: Extent
    watts: Reading[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """An energy counter as it was at a look."""

    at_s: float
    """Monotonic."""
    joules: float
    watts: float | None = None
    """Between the two looks before."""


Counters = Mapping[str, Counter]


def count_energy(before: Counters, snapshot: Snapshot, *, now_s: float) -> Counters:
    """Return the energy counters after a look, by name; those that cannot be read are not among them."""
    after = {}
    for cap in snapshot.of("power_caps"):
        joules = _scaled(cap.texts.get("energy_uj"), _MICRO)
        if joules is None:
            continue
        range_joules = _scaled(cap.texts.get("max_energy_range_uj"), _MICRO)
        after[cap.name] = _count(before.get(cap.name), joules, range_joules, now_s)
    return after


def grown_by(before_joules: float, joules: float, range_joules: float | None) -> float | None:
    """Return by how much a counter grew; None where it fell and its range is not known."""
    if joules >= before_joules:
        return joules - before_joules
    return None if range_joules is None or before_joules > range_joules else joules + range_joules - before_joules


def draws(snapshot: Snapshot, counters: Counters, supplies: Sequence[SupplyText]) -> tuple[Draw, ...]:
    """Return everything that is measured, or could be and is not, with the reason."""
    battery = [Draw(name="battery", extent=Extent.DEVICE, watts=_whole_watts(supplies))]
    has_battery = any(supply.is_of_device and supply.is_battery for supply in supplies)
    return (
        *(battery if has_battery else ()),
        *(draw for monitor in snapshot.of("monitors") for draw in _monitor_draws(monitor)),
        *(_counter_draw(cap, counters.get(cap.name)) for cap in snapshot.of("power_caps")),
    )


def device_watts(measured: Sequence[Draw]) -> Reading[float]:
    """Return what the whole device draws: by its battery, else its input, else its platform's counter."""
    whole = [draw for draw in measured if draw.extent is Extent.DEVICE]
    for draw in whole:
        if draw.watts.value is not None:
            return draw.watts
    if whole:
        return unknown("; ".join(f"{draw.name}: {draw.watts.reason}" for draw in whole))
    if measured:
        return unknown(f"only parts of this device are measured: {', '.join(draw.name for draw in measured)}")
    return unknown("nothing on this device measures power")


def _whole_watts(supplies: Sequence[SupplyText]) -> Reading[float]:
    """Return what is drawn from the battery while nothing else feeds the device."""
    drained = battery_watts(supplies)
    # A USB port that is online may also give power away: what is drawn from the battery is not known to be all, either way.
    is_fed = any(
        supply.status == "Charging" if supply.is_battery else supply.is_online
        for supply in supplies
        if supply.is_of_device
    )
    return unknown("it is not all that feeds this device") if is_fed and drained.value is not None else drained


def _count(before: Counter | None, joules: float, range_joules: float | None, now_s: float) -> Counter:
    if before is None or now_s - before.at_s > MAX_INTERVAL_S:
        return Counter(at_s=now_s, joules=joules)
    # One that stands still was not read anew since, or counts nothing: no processor draws nothing.
    if now_s - before.at_s < MIN_INTERVAL_S or joules == before.joules:
        return before
    grown = grown_by(before.joules, joules, range_joules)
    watts = None if grown is None else grown / (now_s - before.at_s)
    return Counter(at_s=now_s, joules=joules, watts=None if watts is None or watts > MAX_WATTS else watts)


def _counter_draw(cap: DeviceText, counter: Counter | None) -> Draw:
    domain = cap.texts.get("name", "")
    extent = Extent.PART
    if domain == "psys":
        extent = Extent.DEVICE
    elif domain.startswith("package-"):
        extent = Extent.PROCESSOR
    watts: Reading[float]
    if counter is None:
        watts = unknown(f"its counter cannot be read: {cap.errors.get('energy_uj', 'it has none')}")
    elif counter.watts is None:
        watts = unknown("its counter has not been seen to grow yet")
    else:
        watts = known(counter.watts)
    return Draw(name=f"{cap.name} ({domain})", extent=extent, watts=watts)


_POWER: Final = re.compile(r"power(\d+)_(average|input)")
_CURRENT: Final = re.compile(r"curr(\d+)_input")
_INPUT_LABELS: Final = frozenset({"VDD_IN", "POM_5V_IN", "VIN_SYS_5V0", "VDD_SYS_IN"})
"""What NVIDIA's boards call the rail that everything is fed from."""


def _monitor_draws(monitor: DeviceText) -> Iterator[Draw]:
    driver = monitor.texts.get("name", "")
    seen = set()
    for attribute in sorted((*monitor.texts, *monitor.errors)):
        if match := _POWER.fullmatch(attribute):
            # An average says more than the moment does; it is sorted before it.
            if (number := match[1]) in seen:
                continue
            seen.add(number)
            label = monitor.texts.get(f"power{number}_label", "")
            watts = _scaled(monitor.texts.get(attribute), _MICRO)
        elif match := _CURRENT.fullmatch(attribute):
            number = match[1]
            label = monitor.texts.get(f"in{number}_label", "")
            current, voltage = monitor.texts.get(attribute), monitor.texts.get(f"in{number}_input")
            amperes, volts = _scaled(current, _MILLI), _scaled(voltage, _MILLI)
            watts = None if amperes is None or volts is None else amperes * volts
        else:
            continue
        is_whole = driver == "power_meter" or label in _INPUT_LABELS
        why = monitor.errors.get(attribute, "it says nothing")
        yield Draw(
            name=f"{monitor.name} ({f'{driver} {label}'.strip()})",
            extent=Extent.DEVICE if is_whole else Extent.PART,
            watts=unknown(f"it cannot be read: {why}") if watts is None or watts < 0 else known(watts),
        )


def _scaled(text: str | None, unit: float) -> float | None:
    number = number_of(text)
    return None if number is None else number * unit
