"""Whether something is slowed down because of heat or voltage now, and what is capped for whatever reason. Pure.

(1) counters   ``thermal_throttle/*_throttle_count`` of x86 rose within the last 10 s (Documentation/ABI/testing/sysfs-devices-system-cpu)
(2) coolers    a cooling device that works by slowing something down is in action (``cur_state``,
               Documentation/driver-api/thermal/sysfs-api.rst); fans are not meant
(3) voltage    a Raspberry Pi had too little voltage since the last look (``in0_lcrit_alarm`` of ``rpi_volt``,
               Documentation/hwmon/raspberrypi-hwmon.rst)
(4) firmware   a Raspberry Pi's firmware says so: bits 0 to 3 of ``get_throttled``, where its own kernel shows them

A clock that is capped below its highest (``scaling_max_freq``, ``max_freq``) is told, but is no proof of heat: administrators do so, too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from edged.sense.reading import Reading, known, unknown
from edged.sense.snapshot import DeviceText, Snapshot, number_of

RECENT_S: Final = 10.0
_SLOWS: Final = ("Processor", "cpufreq", "cpuidle", "devfreq", "idle", "thermal-", "intel_powerclamp")
_COUNTS: Final = ("thermal_throttle/core_throttle_count", "thermal_throttle/package_throttle_count")
_FIRMWARE: Final = {
    0: "voltage is too low",
    1: "the processor's clock is capped",
    2: "throttled",
    3: "soft limit of heat",
}
_HZ_PER_KHZ: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Throttle counters as they were at a look."""

    values: Mapping[str, int]
    """By processor and attribute."""
    rose_at_s: float = float("-inf")
    """When they were last seen to have risen; monotonic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How fast something runs, against how fast it could."""

    name: str
    hertz: int | None
    limit_hertz: int
    """What it is capped to now."""
    highest_hertz: int

    @property
    def is_capped(self) -> bool:
        """Whether it may not run as fast as it could."""
        return self.limit_hertz < self.highest_hertz


def count(before: Counts | None, snapshot: Snapshot, *, now_s: float) -> Counts | None:
    """Return the throttle counters after a look; None for a device that has none."""
    values = {
        f"{processor.name}/{name}": value
        for processor in snapshot.of("processors")
        for name in _COUNTS
        if (value := number_of(processor.texts.get(name))) is not None
    }
    if not values:
        return None
    if before is None:
        return Counts(values=values)
    # A processor that went offline takes its counts away, and brings them back.
    has_risen = any(value > before.values.get(name, value) for name, value in values.items())
    return Counts(values=values, rose_at_s=now_s if has_risen else before.rose_at_s)


def slowed_by(snapshot: Snapshot, counts: Counts | None, *, now_s: float) -> tuple[str, ...]:
    """Return what slows something down now, in words."""
    return tuple(_slowed_by(snapshot, counts, now_s))


def is_throttled(snapshot: Snapshot, counts: Counts | None, *, now_s: float) -> Reading[bool]:
    """Tell whether anything slows something down; not known where nothing would say so."""
    if any(_slowed_by(snapshot, counts, now_s)):
        return known(value=True)
    coolers = [cooler for cooler in snapshot.of("coolers") if _slows(cooler)]
    if (
        counts is not None
        or any(_state(cooler) is not None for cooler in coolers)
        or any(_bits(firmware) is not None for firmware in snapshot.of("firmware"))
        or any(_voltage_alarm(monitor) for monitor in snapshot.of("monitors"))
    ):
        return known(value=False)
    if coolers:
        return unknown(f"{', '.join(cooler.name for cooler in coolers)}: whether it slows something down is not said")
    return unknown("this device shows neither throttle counters nor cooling devices that slow it down")


def clocks(snapshot: Snapshot) -> tuple[Clock, ...]:
    """Return all clocks that say what they could do."""
    return tuple(clock for clock in (*_processor_clocks(snapshot), *_device_clocks(snapshot)))


def _slowed_by(snapshot: Snapshot, counts: Counts | None, now_s: float) -> Iterator[str]:
    if counts is not None and now_s - counts.rose_at_s < RECENT_S:
        yield "the processor's throttle counters rise"
    for cooler in snapshot.of("coolers"):
        state = _state(cooler)
        if _slows(cooler) and state is not None and state > 0:
            yield f"{cooler.name} ({cooler.texts['type']}) is at {state} of {cooler.texts.get('max_state', 'unknown')}"
    for monitor in snapshot.of("monitors"):
        if _voltage_alarm(monitor) == "1":
            yield f"{monitor.name} ({monitor.texts['name']}) had too little voltage"
    for firmware in snapshot.of("firmware"):
        bits = _bits(firmware) or 0
        yield from (f"firmware: {what}" for bit, what in _FIRMWARE.items() if bits >> bit & 1)


def _slows(cooler: DeviceText) -> bool:
    return cooler.texts.get("type", "").startswith(_SLOWS)


def _state(cooler: DeviceText) -> int | None:
    return number_of(cooler.texts.get("cur_state"))


def _bits(firmware: DeviceText) -> int | None:
    return number_of(firmware.texts.get("get_throttled"), base=16)


def _voltage_alarm(monitor: DeviceText) -> str:
    return monitor.texts.get("in0_lcrit_alarm", "") if monitor.texts.get("name") == "rpi_volt" else ""


def _processor_clocks(snapshot: Snapshot) -> Iterator[Clock]:
    for policy in snapshot.of("clocks"):
        highest = number_of(policy.texts.get("cpuinfo_max_freq"))
        caps = [number_of(policy.texts.get(name)) for name in ("scaling_max_freq", "bios_limit")]
        if highest is None:
            continue
        now = number_of(policy.texts.get("scaling_cur_freq"))
        yield Clock(
            name=f"cpufreq {policy.name}",
            hertz=None if now is None else now * _HZ_PER_KHZ,
            limit_hertz=min([highest, *(cap for cap in caps if cap)]) * _HZ_PER_KHZ,
            highest_hertz=highest * _HZ_PER_KHZ,
        )


def _device_clocks(snapshot: Snapshot) -> Iterator[Clock]:
    for device in snapshot.of("device_clocks"):
        steps = [number_of(step) for step in device.texts.get("available_frequencies", "").split()]
        highest = max((step for step in steps if step), default=None)
        if highest is None:
            continue
        yield Clock(
            name=f"devfreq {device.name}",
            hertz=number_of(device.texts.get("cur_freq")),
            limit_hertz=min(highest, number_of(device.texts.get("max_freq")) or highest),
            highest_hertz=highest,
        )
