"""The trial of a version that took over: what makes it good, what turns it down, and what a restart changes about it."""

import pytest

from edged.activation.trial import TrialRules
from edged.daemon.lifecycle.crash_loop import STEADY_S
from edged.daemon.lifecycle.trials import TROUBLE_EVERY_S, WITHOUT_WORKER_S, WRITE_EVERY_S
from edged.daemon.serving import keeper
from edged.errors import BackendError
from edged.store.history import Happening
from edged.store.slots import SlotState
from tests.fakes.daemons import ADDER, until

HOUR = TrialRules(min_s=3600.0, max_s=7200.0)
TRIAL, GOOD, BAD, FALLBACK = SlotState.TRIAL, SlotState.GOOD, SlotState.BAD, SlotState.FALLBACK


async def begin_trial(disk, device, **options):
    """Version 1.0.0 is good, and 1.1.0 on trial for an hour."""
    disk.stage("1.0.0")
    await device.lifecycle.look()
    device.trial = HOUR
    disk.stage("1.1.0", more=1.0, **options)
    await device.lifecycle.look()
    assert (device.slots.active, device.slots.a.state, device.slots.b.state) == ("b", FALLBACK, TRIAL)


async def lose_worker(device):
    device.serving.served[ADDER].worker.die()


async def test_version_is_good_once_it_was_watched_for_long_enough(disk):
    async with disk.start() as device:
        await begin_trial(disk, device)
        (model,) = device.report.status().models
        assert model.trial.reason == "watched for 0 of 3600 s"
        device.clock.advance(3599.0)
        await device.lifecycle.look()
        assert device.slots.b.state is TRIAL

        device.clock.advance(1.0)
        await device.lifecycle.look()
        assert device.slots.b.state is GOOD
        assert device.table.trials == {}
        assert device.serving.standbys == {}, "nothing stands by for what is proven"
        assert device.report.status().models[0].trial is None


async def test_rollout_that_soaks_makes_the_trial_longer(disk):
    async with disk.start() as device:
        await begin_trial(disk, device)
        disk.roll_out("1.1.0", soak_s=5000.0)
        device.clock.advance(4999.0)
        await device.lifecycle.look()
        assert device.slots.b.state is TRIAL

        device.clock.advance(1.0)
        await device.lifecycle.look()
        assert device.slots.b.state is GOOD


async def test_fleets_rules_count_where_they_are_stricter(disk):
    async with disk.start() as device:
        await begin_trial(disk, device)
        device.orders.trial = TrialRules(min_s=4000.0)
        device.clock.advance(3600.0)
        await device.lifecycle.look()

        assert device.slots.b.state is TRIAL


async def test_lost_workers_turn_a_version_down_and_the_one_before_answers_at_once(disk):
    """Nothing is loaded for it: the worker of the version before was there all the time."""
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
        pid = device.serving.served[ADDER].worker.pid
        disk.stage("1.1.0", more=1.0)
        device.trial = HOUR
        await device.lifecycle.look()
        for _ in range(2):
            await lose_worker(device)
            await device.answer()
        await device.lifecycle.look()

        assert device.serving.served[ADDER].worker.pid == pid
        assert (await device.answer())[0] == "1.0.0"
        assert (device.slots.active, device.slots.a.state, device.slots.b.state) == ("a", GOOD, BAD)
        assert "2 workers were lost" in device.slots.b.reason
        status = device.report.status()
        assert status.state == "degraded"
        assert status.models[0].needs_review
        assert [refusal.version for refusal in status.models[0].refused] == ["1.1.0"]


async def test_version_that_was_turned_down_is_not_tried_again(disk):
    async with disk.start() as device:
        await begin_trial(disk, device)
        for _ in range(2):
            await lose_worker(device)
            await device.answer()
        for _ in range(3):
            device.clock.advance(3600.0)
            await device.lifecycle.look()

        assert device.slots.active == "a"
    async with disk.start() as device:
        await device.lifecycle.look()
        assert (await device.answer())[0] == "1.0.0"


async def test_requests_that_fail_turn_a_version_down(disk):
    async with disk.start() as device:
        await begin_trial(disk, device)
        device.serving.served[ADDER].worker.error = BackendError("a node failed")
        for _ in range(20):
            with pytest.raises(BackendError):
                await device.answer()
        await device.lifecycle.look()

        assert device.slots.active == "a"
        assert "20 requests failed" in device.slots.b.reason
        assert (await device.answer())[0] == "1.0.0"


async def test_without_memory_to_spare_nothing_stands_by_and_the_fallback_is_loaded_again(disk):
    async with disk.start() as device:
        device.available_bytes = 0
        await begin_trial(disk, device)
        assert device.serving.standbys == {}
        for _ in range(2):
            await lose_worker(device)
            await device.answer()
        await device.lifecycle.look()

        assert (await device.answer())[0] == "1.0.0"
        assert (device.slots.active, device.slots.b.state) == ("a", BAD)


async def test_version_whose_workers_cannot_be_started_is_turned_down(disk, monkeypatch):
    """It would have no request that fails, and be good for that."""
    monkeypatch.setattr(keeper, "RESTART_WAITS_S", (0.0, 30.0))
    async with disk.start() as device:
        await begin_trial(disk, device)
        device.troubles.extend([BackendError("no process")] * 3)
        served = device.serving.served[ADDER]
        await lose_worker(device)
        await until(lambda: bool(served.start_error))
        await device.lifecycle.look()
        device.clock.advance(WITHOUT_WORKER_S + 1.0)
        await device.lifecycle.look()

        assert device.slots.active == "a"
        assert "no worker could be started" in device.slots.b.reason


async def test_time_is_kept_over_a_restart_and_the_time_between_does_not_count(disk):
    async with disk.start() as device:
        await begin_trial(disk, device)
        device.clock.advance(3000.0)
        await device.lifecycle.look()
        await device.lifecycle.end_cleanly()
    async with disk.start() as device:
        device.trial = HOUR
        await device.lifecycle.look()
        assert device.slots.b.state is TRIAL
        device.clock.advance(599.0)
        await device.lifecycle.look()
        assert device.slots.b.state is TRIAL

        device.clock.advance(1.0)
        await device.lifecycle.look()
        assert device.slots.b.state is GOOD


async def test_time_is_written_down_now_and_then(disk):
    """A device that is cut off loses a minute of the trial, and writes to its flash no more often than that."""
    async with disk.start() as device:
        await begin_trial(disk, device)
        written = []
        for _ in range(120):
            device.clock.advance(1.0)
            await device.lifecycle.look()
            written.append(device.table.trials[ADDER, "b"].watched_s)

        assert sorted(set(written)) == [0.0, WRITE_EVERY_S, 2 * WRITE_EVERY_S]


async def test_time_in_which_it_may_not_answer_does_not_count(disk):
    async with disk.start() as device:
        await begin_trial(disk, device)
        device.orders.stop(ADDER, "1.1.0")
        device.clock.advance(3600.0)
        await device.lifecycle.look()

        assert device.slots.b.state is TRIAL


async def test_baseline_is_what_the_version_before_did(disk):
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
        for _ in range(5):
            await device.answer()
        device.trial = HOUR
        disk.stage("1.1.0", more=1.0)
        await device.lifecycle.look()

        baseline = device.table.trials[ADDER, "b"].baseline
        assert (baseline.requests, baseline.failures) == (5, 0)
        assert baseline.p95_ms is not None


async def test_trial_of_one_model_holds_up_no_other(disk):
    async with disk.start() as device:
        await begin_trial(disk, device)
        disk.stage("1.0.0", name="other")
        device.trial = TrialRules(min_s=0)
        device.orders.trial = TrialRules(min_s=0)
        await device.lifecycle.look()

        assert {view.name for view in device.serving.views()} == {"adder", "other"}


async def crash(disk, times: int) -> None:
    """Start the daemon so often, and end it each time without telling it to stop."""
    for _ in range(times):
        async with disk.start():
            pass


async def test_daemon_that_keeps_ending_blames_the_version_on_trial_before_it_is_loaded(disk):
    async with disk.start() as device:
        await begin_trial(disk, device)
    await crash(disk, HOUR.max_daemon_starts)
    async with disk.start() as device:
        assert (device.slots.active, device.slots.b.state) == ("a", BAD)
        assert "4 times during its trial" in device.slots.b.reason
        assert (await device.answer())[0] == "1.0.0"
        await device.lifecycle.look()
        assert device.slots.active == "a"
        assert device.report.status().models[0].needs_review


async def test_stop_that_was_asked_for_is_held_against_nobody(disk):
    async with disk.start() as device:
        await begin_trial(disk, device)
        await device.lifecycle.end_cleanly()
    for _ in range(HOUR.max_daemon_starts + 1):
        async with disk.start() as device:
            await device.lifecycle.end_cleanly()
    async with disk.start() as device:
        assert device.slots.b.state is TRIAL
        assert device.table.trials[ADDER, "b"].daemon_starts == 0


async def test_device_that_is_switched_off_every_night_is_in_no_loop(disk):
    async with disk.start() as device:
        await begin_trial(disk, device)
    for _ in range(HOUR.max_daemon_starts + 2):
        async with disk.start() as device:
            assert device.slots.b.state is TRIAL
            device.clock.advance(STEADY_S)
            await device.lifecycle.crash_loop.forgive()


async def test_history_tells_the_story_of_a_rollback(disk):
    async with disk.start() as device:
        await begin_trial(disk, device)
        for _ in range(2):
            await lose_worker(device)
            await device.answer()
        await device.lifecycle.look()
        entries = device.steering.history(model="adder", limit=100)

    told = [(entry.what, entry.version, entry.slot, entry.cause, entry.reason.partition(":")[0]) for entry in entries]
    rollout = device.orders.cause
    assert told[2:] == [
        (Happening.SLOT_MOVED, "1.0.0", "a", "trial", "activated"),
        (Happening.SLOT_MOVED, "1.1.0", "b", "trial", "health-failed"),
        (Happening.SLOT_MOVED, "1.0.0", "a", rollout, "superseded"),
        (Happening.SLOT_MOVED, "1.1.0", "b", rollout, "activated"),
        (Happening.SLOT_MOVED, "1.1.0", "b", rollout, "validation-began"),
        (Happening.SLOT_MOVED, "1.1.0", "b", rollout, "write-verified"),
        (Happening.SLOT_MOVED, "1.1.0", "b", rollout, "write-began"),
        (Happening.SLOT_MOVED, "1.0.0", "a", "trial", "health-passed"),
        (Happening.SLOT_MOVED, "1.0.0", "a", rollout, "activated"),
        (Happening.SLOT_MOVED, "1.0.0", "a", rollout, "validation-began"),
        (Happening.SLOT_MOVED, "1.0.0", "a", rollout, "write-verified"),
        (Happening.SLOT_MOVED, "1.0.0", "a", rollout, "write-began"),
    ]
    assert [(entry.what, entry.version, entry.cause) for entry in entries[:2]] == [
        (Happening.REFUSED, "1.1.0", "trial"),
        (Happening.ROLLED_BACK, "1.1.0", "trial"),
    ]
    assert entries[1].reason.endswith("; 1.0.0 answers again")


async def fail(device, times: int) -> None:
    device.serving.served[ADDER].worker.error = BackendError("a node failed")
    for _ in range(times):
        with pytest.raises(BackendError):
            await device.answer()


@pytest.mark.parametrize("has_ended_cleanly", [True, False])
async def test_requests_that_failed_before_a_restart_still_count(disk, has_ended_cleanly):
    async with disk.start() as device:
        await begin_trial(disk, device)
        await fail(device, 10)
        await device.lifecycle.look()
        if has_ended_cleanly:
            await device.lifecycle.end_cleanly()
        else:
            device.clock.advance(TROUBLE_EVERY_S)
            await device.lifecycle.look()
    async with disk.start(trial=HOUR) as device:
        await device.lifecycle.look()
        assert device.slots.active == "b"
        await fail(device, 10)
        await device.lifecycle.look()

        assert device.slots.active == "a"
        assert "20 requests failed" in device.slots.b.reason


async def test_what_went_well_is_written_down_only_now_and_then(disk):
    """Each time costs a flash memory some life."""
    async with disk.start() as device:
        await begin_trial(disk, device)
        for _ in range(20):
            await device.answer()
        device.clock.advance(WRITE_EVERY_S - 1)
        await device.lifecycle.look()
        assert device.table.trial(ADDER).seen.requests == 0

        device.clock.advance(1)
        await device.lifecycle.look()
        assert device.table.trial(ADDER).seen.requests == 20
