"""The quiet window over real files: when it looks, what it keeps, and that nothing of it stands in the way."""

import asyncio
import contextlib
import json

import pytest

from edged.activation.window import WindowRules
from edged.daemon.lifecycle import window
from edged.daemon.lifecycle.surroundings import Senses
from edged.daemon.lifecycle.window import SAVE_EVERY_S, STALE_AFTER_S, Window
from edged.ids import ModelName, Version
from tests.fakes.clocks import ManualClock
from tests.fakes.sysfs import Sysfs

GAUGE, MAGIKA = ModelName("gauge"), ModelName("magika")
NEW, NEWER = Version(1, 1, 0), Version(1, 2, 0)
WRONG_S = 4e9
"""Later than the clocks of these tests are: theirs are wrong."""
PLUGGED = WindowRules(plugged_in=True, max_wait_s=3600.0)


class Looks(Senses):
    """Real senses that count how often somebody looks."""

    def __init__(self, **options):
        super().__init__(**options)
        self.count = 0

    def look(self):
        self.count += 1
        return super().look()


class Device:
    """A device on its battery, and its window."""

    def __init__(self, directory):
        self.clock = ManualClock()
        self.sysfs = Sysfs(directory / "sys")
        self.sysfs.supply("BAT0", type="Battery", status="Discharging")
        self.notes = directory / "waits.json"
        self.rules = (PLUGGED,)
        self.idle_s = 0.0
        self.senses = Looks(clock=self.clock, trusted_unix_s=lambda: 0.0, sysfs=self.sysfs.root)
        self.window = self.start()

    def start(self):
        """Begin another life of the daemon."""
        self.window = Window(
            rules=lambda: self.rules,
            senses=self.senses,
            idle_s=lambda: self.idle_s,
            clock=self.clock,
            notes=self.notes,
        )
        return self.window

    def plug_in(self):
        self.sysfs.supply("BAT0", status="Charging")

    async def ask(self, model=GAUGE, version=NEW):
        """Ask, have it look, ask again; as the lifecycle does each second."""
        self.window.reasons_to_wait(model, version)
        await self.window.step()
        return list(self.window.reasons_to_wait(model, version))


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


async def test_a_candidate_waits_until_the_conditions_hold(device):
    assert device.window.reasons_to_wait(GAUGE, NEW) == ["mains power (not read yet)"]
    assert await device.ask() == ["mains power (now on battery)"]

    device.plug_in()

    assert await device.ask() == []


async def test_what_was_seen_long_ago_counts_for_nothing(device):
    device.plug_in()
    assert await device.ask() == []

    device.clock.advance(STALE_AFTER_S)

    assert device.window.reasons_to_wait(GAUGE, NEW) == ["mains power (not read yet)"]


async def test_idle_time_needs_no_look(device):
    device.rules = (WindowRules(idle_s=60.0),)
    assert device.window.reasons_to_wait(GAUGE, NEW) == ["60 s without a request (now 0 s)"]

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
    device.senses = Senses(clock=device.clock, trusted_unix_s=lambda: WRONG_S, sysfs=device.sysfs.root)
    device.rules = (WindowRules(hours=("00:00-00:00",), max_wait_s=3600.0),)
    device.start()
    (reason,) = await device.ask()
    assert reason.startswith("the hours 00:00-00:00 (the clock is wrong")

    device.clock.advance(3600.0)

    assert await device.ask() == []


async def test_a_killed_daemon_forgets_little_of_a_wait(device):
    """What it counted since its last note; with a clock that can be trusted not even that."""
    device.senses = Senses(clock=device.clock, trusted_unix_s=lambda: WRONG_S, sysfs=device.sysfs.root)
    device.start()
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


async def test_a_device_that_asks_for_nothing_neither_looks_nor_writes(device):
    device.rules = (WindowRules(),)
    running = asyncio.create_task(device.window.run())
    for version in (NEW, NEWER):
        assert device.window.reasons_to_wait(GAUGE, version) == []
        await asyncio.sleep(0)
        device.window.forget(GAUGE)
    await stop(running)

    assert device.senses.count == 0
    assert not device.notes.exists()


async def test_it_looks_when_it_is_asked_and_keeps_its_notes_at_the_end(device):
    running = asyncio.create_task(device.window.run())
    device.window.reasons_to_wait(GAUGE, NEW)
    await until(lambda: device.window.reasons_to_wait(GAUGE, NEW) == ["mains power (now on battery)"])
    device.clock.advance(60.0)
    await stop(running)

    assert device.senses.count == 1
    assert json.loads(device.notes.read_text())["models"]["gauge"]["counted_s"] == 60.0


async def test_it_goes_on_looking_until_the_candidate_is_through(device, monkeypatch):
    """Whoever asks again after a long validation gets an answer, and not that nobody has looked."""
    monkeypatch.setattr(window, "LOOK_EVERY_S", 0.0)
    running = asyncio.create_task(device.window.run())
    device.window.reasons_to_wait(GAUGE, NEW)
    await until(lambda: device.senses.count >= 3)

    device.window.forget(GAUGE)
    looked = device.senses.count
    for _ in range(20):
        await asyncio.to_thread(int)
    await stop(running)
    # One may have been under way.
    assert device.senses.count <= looked + 1


@pytest.mark.parametrize("text", ["", "{", '{"schema":2,"models":{}}', '{"models":{"gauge":{"counted_s":-1}}}'])
async def test_notes_that_cannot_be_read_begin_the_waits_anew(device, caplog, text):
    device.notes.write_text(text)

    device.start()

    assert await device.ask() == ["mains power (now on battery)"]
    assert "begin anew" in caplog.text


async def test_a_disk_that_takes_no_notes_stops_nobody(device, caplog):
    device.notes.mkdir()
    device.start()
    device.window.open_for(GAUGE)

    assert await device.ask() == []
    assert "not kept over a restart" in caplog.text


async def until(is_so):
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - it looks in a thread and tells nobody
            await asyncio.sleep(0)


async def stop(task):
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
