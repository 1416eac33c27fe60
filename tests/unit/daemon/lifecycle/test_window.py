"""The quiet window over real files: what it asks of the device, what it keeps, and that nothing of it stands in the way."""

import asyncio
import contextlib
import json

import pytest

from edged.activation.window import WindowRules
from edged.daemon.lifecycle import window
from edged.daemon.lifecycle.window import SAVE_EVERY_S, Window, conditions_of
from edged.ids import ModelName, Version
from edged.sense.context import Context, PowerSource
from edged.sense.reading import known, unknown
from tests.fakes.clocks import ManualClock
from tests.fakes.contexts import FakeContexts

GAUGE, MAGIKA = ModelName("gauge"), ModelName("magika")
NEW, NEWER = Version(1, 1, 0), Version(1, 2, 0)
PLUGGED = WindowRules(plugged_in=True, max_wait_s=3600.0)
WAITING = ["mains power (now on battery)"]


class Device:
    """A device on its battery, and its window."""

    def __init__(self, directory):
        self.clock = ManualClock()
        self.contexts = FakeContexts(power=known(PowerSource.BATTERY), clock_trusted=known(value=True))
        self.notes = directory / "waits.json"
        self.rules = (PLUGGED,)
        self.idle_s = 0.0
        self.window = self.start()

    def start(self):
        """Begin another life of the daemon."""
        self.window = Window(
            rules=lambda: self.rules,
            contexts=self.contexts,
            idle_s=lambda: self.idle_s,
            clock=self.clock,
            notes=self.notes,
        )
        return self.window

    def plug_in(self):
        self.contexts.set(power=known(PowerSource.MAINS))

    async def ask(self, model=GAUGE, version=NEW):
        """Ask, and have it keep its notes; as it does while the lifecycle asks each second."""
        self.window.reasons_to_wait(model, version)
        await self.window.step()
        return list(self.window.reasons_to_wait(model, version))


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


async def test_a_candidate_waits_until_the_conditions_hold(device):
    assert await device.ask() == WAITING

    device.plug_in()

    assert await device.ask() == []


@pytest.mark.parametrize(
    ("power", "is_plugged_in"), [(PowerSource.MAINS, True), (PowerSource.BATTERY, False)], ids=["mains", "battery"]
)
def test_the_window_is_judged_by_what_the_device_knows_of_itself(power, is_plugged_in):
    context = Context(power=known(power), hottest_celsius=known(55.0), minute_of_day=known(600), idle_s=known(1.0))

    conditions = conditions_of(context, idle_s=7.0)

    assert (conditions.is_plugged_in, conditions.hottest_c, conditions.minute_of_day) == (is_plugged_in, 55.0, 600)
    assert (conditions.idle_s, conditions.unknown) == (7.0, ())


def test_what_is_not_known_brings_its_reason():
    conditions = conditions_of(Context(hottest_celsius=unknown("no zone")), idle_s=0.0)

    assert (conditions.minute_of_day, conditions.is_plugged_in, conditions.hottest_c) == (None, None, None)
    assert dict(conditions.unknown) == {
        "minute_of_day": "not read yet",
        "is_plugged_in": "not read yet",
        "hottest_c": "no zone",
    }


async def test_idle_time_is_that_of_now(device):
    device.rules = (WindowRules(idle_s=60.0),)
    assert device.window.reasons_to_wait(GAUGE, NEW) == ["60 s without a request or a person (now 0 s)"]

    device.idle_s = 60.0

    assert device.window.reasons_to_wait(GAUGE, NEW) == []


async def test_rules_that_were_reloaded_apply_to_the_next_question(device):
    assert await device.ask() != []

    device.rules = (WindowRules(),)

    assert device.window.reasons_to_wait(GAUGE, NEW) == []


async def test_an_operator_opens_the_window_for_one_model(device):
    device.window.open_for(GAUGE)

    assert await device.ask(GAUGE) == []
    assert await device.ask(MAGIKA) != []


async def test_after_the_longest_wait_it_opens_by_itself(device):
    assert await device.ask() != []
    device.clock.advance(3599.0)
    assert await device.ask() != []

    device.clock.advance(1.0)

    assert await device.ask() == []


async def test_a_device_without_a_clock_still_counts_its_waits(device):
    """Woken up in 1970: no date is kept, and the wait is as long as the daemon ran."""
    device.contexts.set(clock_trusted=known(value=False), minute_of_day=unknown("the clock is wrong"))
    device.rules = (WindowRules(hours=("00:00-00:00",), max_wait_s=3600.0),)
    assert await device.ask() == ["the hours 00:00-00:00 (the clock is wrong)"]

    device.clock.advance(3600.0)

    assert await device.ask() == []
    assert "since_unix_s" not in noted(device)


async def test_a_clock_that_is_believed_dates_a_wait(device):
    await device.ask()
    device.clock.advance(SAVE_EVERY_S)
    await device.ask()

    assert noted(device)["since_unix_s"] == device.clock.unix_s() - SAVE_EVERY_S


def noted(device):
    """Return what is kept of the wait."""
    return json.loads(device.notes.read_text())["models"]["gauge"]


async def test_a_killed_daemon_forgets_little_of_a_wait(device):
    """What it counted since its last note; with a clock that can be trusted not even that."""
    device.contexts.set(clock_trusted=known(value=False))
    await device.ask()
    for _ in range(5):
        device.clock.advance(SAVE_EVERY_S / 2)
        await device.ask()
    counted_s = 5 * SAVE_EVERY_S / 2
    device.start()
    device.clock.advance(3600.0 - counted_s - 1.0)
    assert await device.ask() != []

    device.clock.advance(1.0 + SAVE_EVERY_S)

    assert await device.ask() == []


async def test_nights_without_power_count(device):
    await device.ask()
    device.clock.advance(SAVE_EVERY_S)
    await device.ask()
    device.clock.advance(3600.0)
    device.start()

    assert await device.ask() == []


async def test_what_an_operator_said_survives_a_restart_until_the_candidate_is_through(device):
    device.window.open_for(GAUGE)
    await device.ask()
    device.start()
    assert await device.ask() == []

    device.window.forget(GAUGE)
    await device.window.step()
    device.start()

    assert await device.ask() != []


async def test_a_device_that_asks_for_nothing_writes_nothing(device):
    device.rules = (WindowRules(),)
    running = asyncio.create_task(device.window.run())
    for version in (NEW, NEWER):
        assert device.window.reasons_to_wait(GAUGE, version) == []
        await asyncio.sleep(0)
        device.window.forget(GAUGE)
    await stop(running)

    assert not device.notes.exists()


async def test_it_keeps_its_notes_at_the_end(device):
    running = asyncio.create_task(device.window.run())
    assert device.window.reasons_to_wait(GAUGE, NEW) == WAITING
    await asyncio.sleep(0)
    device.clock.advance(60.0)
    await stop(running)

    assert json.loads(device.notes.read_text())["models"]["gauge"]["counted_s"] == 60.0


async def test_it_keeps_its_notes_while_the_candidate_waits(device, monkeypatch):
    monkeypatch.setattr(window, "STEP_EVERY_S", 0.0)
    running = asyncio.create_task(device.window.run())
    device.window.reasons_to_wait(GAUGE, NEW)
    await asyncio.sleep(0)
    device.clock.advance(SAVE_EVERY_S)
    async with asyncio.timeout(60):
        while not device.notes.exists():
            device.window.reasons_to_wait(GAUGE, NEW)
            await asyncio.sleep(0)
    await stop(running)


@pytest.mark.parametrize("text", ["", "{", '{"schema":2,"models":{}}', '{"models":{"gauge":{"counted_s":-1}}}'])
async def test_notes_that_cannot_be_read_begin_the_waits_anew(device, caplog, text):
    device.notes.write_text(text)

    device.start()

    assert await device.ask() == WAITING
    assert "begin anew" in caplog.text


async def test_a_disk_that_takes_no_notes_stops_nobody(device, caplog):
    device.notes.mkdir()
    device.start()
    device.window.open_for(GAUGE)

    assert await device.ask() == []
    assert "not kept over a restart" in caplog.text


async def stop(task):
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
