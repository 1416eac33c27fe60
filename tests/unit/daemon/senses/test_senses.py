"""The current context: when the device is looked at, when a context is another one, and what becomes of sensors that hang."""

import asyncio
import contextlib
import threading
from dataclasses import replace

import pytest

from edged.daemon.senses import senses as module
from edged.daemon.senses.network import Network, unknown_network
from edged.daemon.senses.own import Own
from edged.daemon.senses.senses import Senses
from edged.daemon.senses.sight import STALE_AFTER_S, Sight
from edged.sense.context import Level, Link, PowerSource
from edged.sense.reading import known, unknown
from edged.sense.sysfs import Sensors
from tests.fakes.clocks import ManualClock
from tests.fakes.patience import PATIENCE_S
from tests.fakes.sysfs import Sysfs
from tests.fakes.uevents import CPU

NEVER_S = 3600.0
IMPATIENT_S = 0.01
"""Longest that one part of the sensors keeps the others waiting, where one hangs."""


class Gated:
    """Real sensors of which each part can be made to hang."""

    def __init__(self, sensors):
        self._parts = sensors.parts
        self.gates = {name: threading.Event() for name in self._parts}
        self.looks = dict.fromkeys(self._parts, 0)
        for gate in self.gates.values():
            gate.set()

    @property
    def parts(self):
        return {name: lambda name=name: self._read(name) for name in self._parts}

    def _read(self, name):
        self.looks[name] += 1
        assert self.gates[name].wait(2 * PATIENCE_S)
        return self._parts[name]()


class Device:
    """A board with a battery and a thermal zone.

    Args:
        directory: For its tree.
        patience_s: How long one part of the sensors may keep the others waiting. On a busy machine any of them may take as long as one
            that hangs: where none does, a look is waited for to its end.
    """

    def __init__(self, directory, *, patience_s=NEVER_S):
        self.clock = ManualClock()
        self.sysfs = Sysfs(directory)
        self.sysfs.supply("BAT0", type="Battery", status="Discharging", capacity="50")
        self.sysfs.zone(0, "45000")
        self.sensors = Gated(Sensors(directory, directory / "proc"))
        self.flags = {"fast": True}
        self.network = unknown_network("no gate")
        self.idle_s = 0.0
        self.trusted_unix_s = 0.0
        own = Own(
            clock=self.clock,
            idle_s=lambda: self.idle_s,
            trusted_unix_s=lambda: self.trusted_unix_s,
            network=lambda: self.network,
            flags=lambda: self.flags,
            regulatory=lambda: "standard",
            labels={"ring": "canary"},
        )
        sight = Sight(self.sensors, self.clock, patience_s=patience_s)
        self.senses = Senses(sight=sight, own=own, clock=self.clock, poll_s=lambda: NEVER_S)
        self.told = []
        self.senses.on_change(self.told.append)

    @property
    def current(self):
        return self.senses.current

    async def refresh(self):
        """Look; where no sensor hangs, everything is seen."""
        await self.senses.refresh()
        return self.current


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path / "sys")


@pytest.fixture
async def hanging(tmp_path):
    """One that has been seen, and whose sensors can be made to hang."""
    device = Device(tmp_path / "sys", patience_s=IMPATIENT_S)
    await until_refreshed(device, lambda context: context.power.value and context.hottest_celsius.value)
    yield device
    for gate in device.sensors.gates.values():
        gate.set()


@contextlib.asynccontextmanager
async def running(senses):
    task = asyncio.create_task(senses.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(is_so):
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - a thread tells nobody
            await asyncio.sleep(0)


async def test_before_the_first_look_only_what_needs_no_sensor_is_known(device):
    assert device.current.power == unknown("not read yet")
    assert device.current.flags == {"fast": True}
    assert device.current.labels == {"ring": "canary"}


async def test_a_look_finds_what_sensors_say(device):
    context = await device.refresh()

    assert (context.power.value, context.battery_percent.value) == (PowerSource.BATTERY, 50.0)
    assert (context.thermal.value, context.hottest_celsius.value) == (Level.NOMINAL, 45.0)
    assert device.senses.sensors


async def test_a_context_is_the_same_object_until_something_changes(device):
    first = await device.refresh()
    assert await device.refresh() is first

    device.sysfs.supply("BAT0", status="Charging")
    second = await device.refresh()

    assert second.power.value is PowerSource.MAINS
    assert second.serial == first.serial + 1
    assert device.told == [first, second]


async def test_time_alone_is_no_news(device):
    first = await device.refresh()
    device.clock.advance(7.0)

    assert await device.refresh() is first
    assert first.at_unix_s == device.clock.unix_s() - 7.0


async def test_idle_time_counts_in_whole_seconds(device):
    device.idle_s = 3.9
    first = await device.refresh()
    device.idle_s = 3.99
    assert await device.refresh() is first

    device.idle_s = 4.0
    assert (await device.refresh()).idle_s.value == 4.0


async def test_flags_are_news_without_a_look(device):
    await device.refresh()
    looks = dict(device.sensors.looks)

    device.flags = {"fast": False}
    device.senses.renew()

    assert device.current.flags == {"fast": False}
    assert device.current.power.value is PowerSource.BATTERY
    assert device.sensors.looks == looks


async def test_a_clock_that_must_be_wrong_tells_no_time(device):
    assert (await device.refresh()).clock_trusted.value is True
    assert device.current.minute_of_day.value is not None

    device.trusted_unix_s = 4e9
    context = await device.refresh()

    assert context.clock_trusted.value is False
    assert "the clock is wrong" in context.minute_of_day.reason


async def test_the_network_is_what_the_gate_says(device):
    assert (await device.refresh()).link.reason == "no gate"

    device.network = Network(link=known(Link.WIFI), metered=known(value=True), round_trip_s=unknown("none yet"))
    context = await device.refresh()

    assert (context.link.value, context.metered.value) == (Link.WIFI, True)
    assert context.round_trip_s.reason == "none yet"


async def test_a_sensor_that_hangs_keeps_nothing_else_from_being_fresh(hanging):
    hanging.sensors.gates["zones"].clear()
    await hanging.refresh()

    hanging.sysfs.supply("BAT0", status="Charging")
    await until_refreshed(hanging, lambda context: context.power.value is PowerSource.MAINS)

    assert hanging.current.hottest_celsius.value == 45.0


async def test_what_a_sensor_said_long_ago_counts_for_nothing(hanging):
    hanging.sensors.gates["zones"].clear()
    hanging.clock.advance(STALE_AFTER_S)
    await hanging.refresh()
    assert hanging.current.hottest_celsius.value == 45.0

    hanging.clock.advance(1.0)
    await until_refreshed(
        hanging, lambda context: context.hottest_celsius.value is None and context.power.value is PowerSource.BATTERY
    )
    assert "thermal_zone0" in hanging.current.hottest_celsius.reason

    hanging.sensors.gates["zones"].set()
    await until_refreshed(hanging, lambda context: context.hottest_celsius.value == 45.0)


async def test_a_device_whose_supplies_were_never_seen_is_not_one_on_mains(tmp_path):
    device = Device(tmp_path / "sys", patience_s=IMPATIENT_S)
    device.sensors.gates["supplies"].clear()
    await device.refresh()
    assert device.current.power == unknown("it has not answered yet")
    assert device.current.battery_percent == unknown("it has not answered yet")

    device.sensors.gates["supplies"].set()
    await until_refreshed(device, lambda context: context.power.value is PowerSource.BATTERY)


async def test_a_device_whose_supplies_cannot_be_seen_any_more_is_not_one_on_mains(hanging):
    hanging.sensors.gates["supplies"].clear()
    await hanging.refresh()
    hanging.clock.advance(STALE_AFTER_S + 1)
    await until_refreshed(hanging, lambda context: context.power.value is None)
    assert hanging.current.power.reason == "it has not answered for 16 s"
    assert hanging.current.battery_percent.value is None


async def test_what_nobody_foresaw_is_said_once_and_ends_nothing(device, monkeypatch, caplog):
    await device.refresh()
    real = module.assemble

    def fail(snapshot, history, **options):
        if not snapshot.why_unreadable:
            raise ZeroDivisionError("odd driver")
        return real(snapshot, history, **options)

    monkeypatch.setattr(module, "assemble", fail)
    for _ in range(3):
        await device.refresh()
    assert "odd driver" in device.current.power.reason
    assert device.current.thermal.value is None
    assert caplog.text.count("cannot be understood, and nothing is known") == 1

    monkeypatch.setattr(module, "assemble", real)
    assert (await device.refresh()).power.value is PowerSource.BATTERY

    monkeypatch.setattr(module, "assemble", fail)
    await device.refresh()
    assert caplog.text.count("cannot be understood, and nothing is known") == 2


async def until_refreshed(device, is_so):
    """Look until a context is as it should be: a thread that was let go on answers when it does."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so(await device.refresh()):
            pass


async def test_it_looks_at_once_when_it_is_woken(device, own_kernel):
    async with running(device.senses):
        await asyncio.sleep(0)
        assert device.told == []

        device.senses.wake()

        await until(lambda: device.told)


async def test_what_the_kernel_tells_of_is_looked_at_at_once(device, uevent):
    async with running(device.senses):
        await asyncio.sleep(0)
        uevent(CPU)

        await until(lambda: device.told)


async def test_one_word_of_the_kernel_is_one_look(device, monkeypatch, own_kernel):
    monkeypatch.setattr(module, "SETTLE_S", 0.0)
    monkeypatch.setattr(module, "GAP_S", 0.0)
    async with running(device.senses):
        device.senses.wake()
        await until(lambda: device.told)
        await other_things()

    assert device.sensors.looks["supplies"] == 1


async def test_however_often_it_is_woken_it_does_not_look_more_often(device, monkeypatch):
    """A plug has the kernel speak several times, a loose one without end."""
    monkeypatch.setattr(module, "GAP_S", NEVER_S)
    device.clock.advance(NEVER_S)
    async with running(device.senses):
        for _ in range(1000):
            device.senses.wake()
        await until(lambda: device.told)
        device.senses.wake()
        await other_things()

    assert device.sensors.looks["supplies"] == 1


async def other_things():
    """Let the loop and threads do what they would do now."""
    for _ in range(50):
        await asyncio.to_thread(int)


async def test_it_looks_again_and_again(device):
    device.senses = Senses(
        sight=Sight(device.sensors, device.clock), own=device.senses._own, clock=device.clock, poll_s=lambda: 0.001
    )
    async with running(device.senses):
        await until(lambda: device.sensors.looks["supplies"] >= 3)


async def test_a_listener_gets_contexts_in_order(device):
    await device.refresh()
    device.flags = {}
    device.senses.renew()

    assert [context.serial for context in device.told] == [1, 2]
    assert device.told[1] == replace(device.told[0], flags={}, serial=2)
