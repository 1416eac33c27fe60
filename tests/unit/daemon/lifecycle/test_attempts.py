"""A candidate's way to activation: what it waits for, what stops it, and what happens when the daemon ends on the way."""

import asyncio
import shutil

import pytest

from edged.activation.trial import TrialRules
from edged.daemon.lifecycle.lifecycle import Lifecycle
from edged.errors import ModelStoppedError
from edged.ids import Version
from edged.store.slots import SlotState
from tests.fakes.daemons import ADDER, until
from tests.fakes.orders import DEVICE
from tests.fakes.served_workers import settle
from tests.fakes.small_devices import Cut

HOUR = TrialRules(min_s=3600.0, max_s=7200.0)
EMPTY, READY, TRIAL, GOOD = SlotState.EMPTY, SlotState.READY, SlotState.TRIAL, SlotState.GOOD
BAD, FALLBACK = SlotState.BAD, SlotState.FALLBACK


async def take(disk, device, *versions):
    """Have versions take over, one after the other."""
    for version in versions:
        disk.stage(version, more=float(Version.parse(version).minor))
        await device.lifecycle.look()


async def test_model_that_a_rollout_names_and_the_store_has_not_got_is_absent_and_no_trouble(disk):
    disk.roll_out("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        status = device.report.status()

        assert (status.state, [(model.name, model.state) for model in status.models]) == ("idle", [("adder", "absent")])
        assert status.models[0].rollout.version == "1.0.0"
        assert status.device.id == DEVICE.id


async def test_stop_is_in_the_status_for_as_long_as_it_holds(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.orders.stop(ADDER, "1.0.0")
        device.serving.hold(ADDER, lambda: ModelStoppedError("stopped"))
        status = device.report.status()

        assert (status.state, status.models[0].state) == ("degraded", "stopped")
        assert status.models[0].stop.reason == "wrong answers"
        assert not status.models[0].needs_review


async def test_candidate_waits_for_the_window_before_it_is_validated(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.window.reasons = ["the hours 22:00-05:00"]
        await take(disk, device, "1.1.0")

        assert device.slots.b.state is READY
        (model,) = device.report.status().models
        assert model.candidate.version == "1.1.0"
        assert model.candidate.waiting_for == ("the hours 22:00-05:00",)
        assert device.report.status().state == "serving"

        device.window.reasons = []
        await device.lifecycle.look()
        assert (await device.answer())[0] == "1.1.0"
        assert device.report.status().models[0].candidate is None


async def test_candidate_waits_again_when_the_window_closes_during_its_validation(disk, monkeypatch):
    """And is not validated twice for that."""
    validations = []
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        validate = type(device.lifecycle.attempts)._validate

        async def close_window(self, loadable):
            await validate(self, loadable)
            validations.append(loadable.bundle.manifest.version)
            device.window.reasons = ["mains power"]

        monkeypatch.setattr(type(device.lifecycle.attempts), "_validate", close_window)
        await take(disk, device, "1.1.0")
        assert device.slots.b.state is READY
        assert device.report.status().models[0].candidate.waiting_for == ("mains power",)

        device.window.reasons = []
        await device.lifecycle.look()
        assert (await device.answer())[0] == "1.1.0"
        assert validations == ["1.1.0"]


async def test_candidate_whose_window_closes_while_another_model_does_what_is_heavy_is_not_validated(disk, monkeypatch):
    """With many models, the last of them would be at it long after the window's end."""
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        heavy, attempts = device.lifecycle.attempts._heavy, device.lifecycle.attempts
        written, write = asyncio.Event(), attempts._write

        async def write_and_wait(loadable):
            await write(loadable)
            await heavy.acquire()
            written.set()

        monkeypatch.setattr(attempts, "_write", write_and_wait)
        disk.stage("1.1.0")
        disk.verdicts["1.1.0"] = AssertionError("it was validated")
        looking = asyncio.create_task(device.lifecycle.look())
        await written.wait()
        await settle()
        device.window.reasons = ["the hours 22:00-05:00"]
        heavy.release()
        await looking

        assert device.slots.b.state is READY
        assert device.report.status().models[0].candidate.waiting_for == ("the hours 22:00-05:00",)


async def test_first_version_of_a_model_waits_for_nothing(disk):
    """There is nothing that it could disturb more than having no model."""
    async with disk.start() as device:
        device.window.reasons = ["less than 60 degrees Celsius"]
        await take(disk, device, "1.0.0")

        assert (await device.answer())[0] == "1.0.0"
        assert device.window.asked == []


async def test_wait_goes_on_after_a_restart_without_reading_everything_again(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.window.reasons = ["mains power"]
        await take(disk, device, "1.1.0")
        since = device.slots.b.changed_unix_s
    async with disk.start() as device:
        device.window.reasons = ["mains power"]
        await device.lifecycle.look()

        assert (device.slots.b.state, device.slots.b.changed_unix_s) == (READY, since)


async def test_candidate_that_nobody_wants_any_more_leaves_its_slot(disk):
    """The store need not keep it, and nobody is told that it still waits."""
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.window.reasons = ["mains power"]
        await take(disk, device, "1.1.0")
        disk.roll_out("1.0.0")
        await device.lifecycle.look()

        assert device.slots.b.state is EMPTY
        assert device.report.status().models[0].candidate is None


async def test_version_below_the_floor_is_not_activated_and_what_is_active_stays(disk):
    async with disk.start() as device:
        await take(disk, device, "1.5.0")
        device.orders.floors[ADDER] = Version.parse("2.0.0")
        await take(disk, device, "1.6.0")

        assert (await device.answer())[0] == "1.5.0"
        assert device.slots.b.state is EMPTY
        assert device.report.status().models[0].rollout.floor == "2.0.0"
        assert device.report.status().state == "serving"

        await take(disk, device, "2.0.0")
        assert (await device.answer())[0] == "2.0.0"


async def test_fallback_below_the_floor_does_not_answer_in_place_of_a_bad_version(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.trial = HOUR
        await take(disk, device, "1.1.0")
        device.orders.floors[ADDER] = Version.parse("1.1.0")
        slot = device.slots.active_slot
        await device.lifecycle.answering.turn_down(ADDER, slot, cause="trial", reason="it was found wrong")
        await device.lifecycle.look()

        assert device.slots.active is None
        assert device.serving.served == {}


async def test_version_is_turned_down_although_another_of_its_variants_answers_meanwhile(disk):
    """Which variant it is says nothing about who is to go: an operator's rollback does not come too late for it."""
    async with disk.start() as device:
        await take(disk, device, "1.0.0", "1.1.0")
        slot = device.slots.active_slot
        await device.table.note_variant(ADDER, slot.content.digest, "another")

        assert await device.lifecycle.answering.turn_down(ADDER, slot, cause="operator", reason="it was found wrong")
        assert (await device.answer())[0] == "1.0.0"
        assert not await device.lifecycle.answering.turn_down(ADDER, slot, cause="operator", reason="once more")


async def test_stopped_version_is_not_tried(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.orders.stop(ADDER, "1.1.0")
        await take(disk, device, "1.1.0")

        assert device.slots.b.state is EMPTY


async def test_version_that_is_stopped_while_it_is_validated_goes_no_further(disk, monkeypatch):
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        attempts = type(device.lifecycle.attempts)
        validate = attempts._validate

        async def stop(self, loadable):
            await validate(self, loadable)
            device.orders.stop(ADDER, "1.1.0")

        monkeypatch.setattr(attempts, "_validate", stop)
        await take(disk, device, "1.1.0")

        assert device.slots.active == "a"
        assert device.slots.b.state is READY
        assert device.slots.b.reason == "it is no longer wanted"


async def test_rollout_that_goes_back_has_the_proven_version_answer_without_a_second_trial(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0", "1.1.0")
        device.trial = HOUR
        device.window.reasons = ["the hours 22:00-05:00"]
        disk.roll_out("1.0.0")
        await device.lifecycle.look()

        assert (await device.answer())[0] == "1.0.0"
        assert (device.slots.active, device.slots.a.state, device.slots.b.state) == ("a", GOOD, FALLBACK)
        assert device.table.refused == {}


async def test_rollout_that_goes_back_ends_a_trial_at_once(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        pid = device.serving.served[ADDER].worker.pid
        device.trial = HOUR
        await take(disk, device, "1.1.0")
        disk.roll_out("1.0.0")
        await device.lifecycle.look()

        assert device.serving.served[ADDER].worker.pid == pid, "what stands by answers"
        assert (device.slots.active, device.slots.a.state, device.slots.b.state) == ("a", GOOD, BAD)
        assert device.table.refused == {}, "it did nothing wrong"
        assert device.report.status().state == "serving"


@pytest.mark.parametrize("loads", [True, False], ids=["loads", "is-damaged"])
async def test_version_whose_worker_is_lost_while_it_takes_over_again_is_what_the_slots_say(disk, monkeypatch, loads):
    """It is loaded anew; where it is damaged, it is turned down as well, and the other one is what there is as a last resort."""
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.trial = HOUR
        await take(disk, device, "1.1.0")
        standby, move = device.serving.standbys[ADDER], device.table.move

        async def move_and_lose(model, what):
            await move(model, what)
            if standby.worker is not None:
                standby.worker.die()

        monkeypatch.setattr(device.table, "move", move_and_lose)
        if not loads:
            shutil.rmtree(disk.layout.bundle(ADDER, Version.parse("1.0.0")))
        disk.roll_out("1.0.0")
        await device.lifecycle.look()

        slot = device.slots.active_slot
        assert (await device.answer())[0] == str(slot.content.version)
        assert (str(slot.content.version), slot.state) == (("1.0.0", GOOD) if loads else ("1.1.0", TRIAL))


async def test_trial_that_nobody_wants_to_see_the_end_of_makes_way_for_the_next_version(disk):
    """The fallback answers in between, so that there is always something proven to go back to."""
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.trial = HOUR
        await take(disk, device, "1.1.0", "1.2.0")

        assert (device.slots.active, device.slots.b.state, device.slots.a.state) == ("b", TRIAL, FALLBACK)
        assert str(device.slots.b.content.version) == "1.2.0"
        assert str(device.slots.a.content.version) == "1.0.0"


async def test_damaged_fallback_is_not_activated_and_what_runs_goes_on(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0", "1.1.0")
        shutil.rmtree(disk.layout.bundle(ADDER, Version.parse("1.0.0")))
        disk.roll_out("1.0.0")
        await device.lifecycle.look()

        assert (await device.answer())[0] == "1.1.0"


STEPS = ["write-began", "write-verified", "validation-began", "activated", "health-passed"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", range(len(STEPS)), ids=STEPS)
async def test_end_of_the_daemon_at_any_step_loses_nothing(disk, step, when):
    """Whichever move was the last one, and whether it reached the disk or not: the next start answers, and gets to the new version."""
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
    disk.stage("1.1.0")
    disk.moves.clear()
    disk.writes_left, disk.is_cut_after = step, when == "after"
    with pytest.raises(Cut):
        async with disk.start() as device:
            await device.lifecycle.look()
    disk.writes_left = None
    assert disk.moves == STEPS[: step + 1]

    async with disk.start() as device:
        assert (await device.answer())[0] in {"1.0.0", "1.1.0"}
        assert device.slots.b.state not in {SlotState.WRITING, SlotState.VALIDATION}, "nobody is at work on it"
        await device.lifecycle.look()
        assert (await device.answer())[0] == "1.1.0"
        assert (device.slots.b.state, device.slots.a.state) == (GOOD, FALLBACK)


async def test_daemon_that_keeps_ending_over_a_candidate_turns_it_down(disk, monkeypatch):
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
    disk.stage("1.1.0")
    attempts = type(device.lifecycle.attempts)

    async def die(_self, _loadable):
        raise Cut

    monkeypatch.setattr(attempts, "_validate", die)
    for _ in range(TrialRules().max_daemon_starts + 1):
        with pytest.raises(Cut):
            async with disk.start() as device:
                await device.lifecycle.look()
    async with disk.start() as device:
        assert device.slots.b.state is BAD
        assert "4 times during its validation" in device.slots.b.reason
        await device.lifecycle.look()
        assert (await device.answer())[0] == "1.0.0"
        assert device.report.status().models[0].needs_review


async def test_daemon_that_keeps_ending_over_reading_a_candidate_turns_it_down(disk, monkeypatch):
    """Each start begins the write anew, and goes on counting."""
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
    disk.stage("1.1.0")

    def die(*_what, **_options):
        raise Cut

    monkeypatch.setattr("edged.daemon.lifecycle.arrivals.verify_files", die)
    for _ in range(TrialRules().max_daemon_starts + 1):
        with pytest.raises(Cut):
            async with disk.start() as device:
                await device.lifecycle.look()
    async with disk.start() as device:
        assert [refused.version for refused in device.table.refused.values()] == [Version.parse("1.1.0")]
        await device.lifecycle.look()
        assert (await device.answer())[0] == "1.0.0"


async def test_candidate_of_one_model_that_takes_long_holds_up_no_other(disk, monkeypatch):
    """A stop that hung with it could not be lifted, either: every model is looked after by a task of its own."""
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        disk.stage("1.1.0")
        attempts, began = type(device.lifecycle.attempts), asyncio.Event()
        write = attempts._write

        async def hang(self, loadable):
            if loadable.bundle.manifest.version == "1.1.0":
                began.set()
                await asyncio.Event().wait()
            await write(self, loadable)

        monkeypatch.setattr(attempts, "_write", hang)
        running = asyncio.create_task(Lifecycle.run(device.lifecycle))
        await began.wait()
        disk.stage("1.0.0", name="other")
        await until(lambda: "other" in device.serving.served)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
