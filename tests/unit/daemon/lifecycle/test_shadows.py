"""The shadow run on a candidate's way to activation: what lets it go on, what turns it down, and what ends it in the middle."""

import asyncio
import itertools
import struct
from dataclasses import replace

import pytest

from edged.activation.shadow import ShadowRules
from edged.activation.trial import TrialRules
from edged.daemon.lifecycle.shadows import WRITE_EVERY_S
from edged.errors import BackendError, ModelStoppedError
from edged.runtime.tensors import Tensor
from edged.store.history import Happening
from edged.store.slots import SlotState
from tests.fakes.daemons import ADDER, until
from tests.fakes.served_workers import settle
from tests.fakes.small_devices import ANSWER, Cut

RULES = ShadowRules(share=1.0, min_s=100.0, min_requests=20, max_s=1000.0, min_agreement=0.9)
READY, SHADOW, TRIAL, GOOD, BAD = SlotState.READY, SlotState.SHADOW, SlotState.TRIAL, SlotState.GOOD, SlotState.BAD
OTHER = replace(ANSWER, outputs=(Tensor(name="sum", dtype="FP32", shape=(1, 1), data=struct.pack("<f", 2.0)),))


async def begin(disk, device, rules: ShadowRules = RULES):
    """Version 1.0.0 is good, and 1.1.0 in its shadow; returns the worker of the latter."""
    disk.stage("1.0.0")
    await device.lifecycle.look()
    device.shadow = rules
    disk.stage("1.1.0")
    await device.lifecycle.look()
    assert (device.slots.a.state, device.slots.b.state) == (GOOD, SHADOW)
    return device.starter.in_shadow[-1]


async def look_often(device) -> None:
    for _ in range(3):
        await device.lifecycle.look()


async def ask(device, times: int = 20) -> None:
    """Ask the model, and let the candidate follow."""
    for _ in range(times):
        assert (await device.answer())[0] == "1.0.0"
        await settle()


def happenings(device):
    entries = device.table.history(model="adder", limit=100)
    return [entry.what for entry in reversed(entries) if entry.what.startswith("shadow")]


async def test_candidate_that_does_well_is_activated_and_goes_on_trial(disk):
    async with disk.start() as device:
        worker = await begin(disk, device)
        device.trial = TrialRules(min_s=3600.0)
        await ask(device)
        device.clock.advance(100.0)
        await device.lifecycle.look()

        assert (device.slots.active, device.slots.b.state) == ("b", TRIAL)
        assert (await device.answer())[0] == "1.1.0"
        assert worker.is_closed, "what answers is a fresh one"
        assert device.serving.served[ADDER].worker is not worker
        assert happenings(device) == [Happening.SHADOW_BEGAN, Happening.SHADOW_PASSED]
        assert device.table.trial(ADDER).watched_s == 0, "the time in the shadow is no trial"


async def test_status_tells_how_it_goes(disk):
    async with disk.start() as device:
        await begin(disk, device)
        await ask(device, 3)
        device.clock.advance(60.0)
        await device.lifecycle.look()
        (model,) = device.report.status().models
        shadow = model.candidate.shadow

        assert (model.state, device.report.status().state) == ("serving", "serving")
        assert (shadow.share, shadow.requests, shadow.agreement, shadow.shed) == (1.0, 3, 1.0, 0)
        assert shadow.left_s == 940.0
        assert shadow.reason == "in the shadow for 60 of 100 s"
        assert device.lifecycle.shadows.stats[ADDER].results["agreed"] == 3


async def test_answers_that_differ_turn_the_candidate_down_before_anybody_sees_one(disk):
    async with disk.start() as device:
        worker = await begin(disk, device)
        worker.answer = OTHER
        await ask(device)
        await device.lifecycle.look()

        assert (await device.answer())[0] == "1.0.0"
        assert (device.slots.a.state, device.slots.b.state) == (GOOD, BAD)
        assert "0.0% of 20 answers" in device.slots.b.reason
        assert worker.is_closed
        status = device.report.status()
        assert status.state == "degraded"
        assert status.models[0].needs_review
        assert [refusal.version for refusal in status.models[0].refused] == ["1.1.0"]
        assert status.models[0].candidate is None
        assert happenings(device) == [Happening.SHADOW_BEGAN, Happening.SHADOW_FAILED]

        device.clock.advance(5000.0)
        await device.lifecycle.look()
        assert device.slots.b.state is BAD, "it is not tried again"


async def test_failures_turn_the_candidate_down(disk):
    async with disk.start() as device:
        worker = await begin(disk, device)
        worker.error = BackendError("a node failed")
        await ask(device)
        await device.lifecycle.look()

        assert device.slots.b.state is BAD
        assert "100.0% of 20 requests failed" in device.slots.b.reason


async def test_worker_that_is_lost_is_replaced_until_it_is_one_too_many(disk):
    async with disk.start() as device:
        await begin(disk, device)
        for losses in range(TrialRules().max_worker_losses + 1):
            assert device.slots.b.state is SHADOW, losses
            device.starter.in_shadow[-1].die()
            await device.lifecycle.look()

        assert len(device.starter.in_shadow) == TrialRules().max_worker_losses + 1
        assert device.slots.b.state is BAD
        assert "2 workers were lost in the shadow" in device.slots.b.reason
        assert (await device.answer())[0] == "1.0.0"


async def test_where_nobody_asks_it_goes_on_at_the_deadline_and_says_so(disk):
    async with disk.start() as device:
        await begin(disk, device)
        device.clock.advance(999.0)
        await device.lifecycle.look()
        assert device.slots.b.state is SHADOW

        device.clock.advance(1.0)
        await device.lifecycle.look()
        assert device.slots.active == "b"
        passed = next(
            entry for entry in device.table.history(model="adder", limit=100) if entry.what is Happening.SHADOW_PASSED
        )
        assert "0 requests" in passed.reason


async def test_first_version_has_nothing_to_be_compared_with(disk):
    async with disk.start(shadow=RULES) as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()

        assert (device.slots.active, happenings(device)) == ("a", [])


async def test_no_shadow_run_unless_one_is_asked_for(disk):
    async with disk.start() as device:
        for version in ("1.0.0", "1.1.0"):
            disk.stage(version)
            await device.lifecycle.look()

        assert device.slots.active == "b"
        assert device.starter.in_shadow == []
        assert device.lifecycle.shadows.stats == {}


@pytest.mark.parametrize("who", ["policy", "rollout"])
async def test_fleet_can_ask_for_it(disk, who):
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
        disk.stage("1.1.0")
        if who == "policy":
            device.orders.shadow = RULES
        else:
            disk.roll_out("1.1.0", shadow=0.25)
        await device.lifecycle.look()

        assert device.slots.b.state is SHADOW
        assert device.report.status().models[0].candidate.shadow.share == (1.0 if who == "policy" else 0.25)


async def test_without_memory_for_two_versions_it_is_skipped_and_that_is_kept(disk):
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
        device.shadow, device.available_bytes = RULES, 0
        disk.stage("1.1.0")
        await device.lifecycle.look()

        assert device.slots.active == "b"
        assert device.starter.in_shadow == []
        assert happenings(device) == [Happening.SHADOW_SKIPPED]


async def test_run_that_was_skipped_is_not_skipped_again_when_the_candidate_has_to_wait(disk):
    """The window closes each time right before the activation."""
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
        device.shadow, device.available_bytes = RULES, 0
        said = itertools.cycle([(), (), ("the hours 22:00-05:00",)])
        device.window.reasons_to_wait = lambda _model, _version: next(said)
        disk.stage("1.1.0")
        for _ in range(3):
            await device.lifecycle.look()

        assert device.slots.b.state is READY
        assert happenings(device) == [Happening.SHADOW_SKIPPED]


async def test_memory_that_runs_short_ends_it_and_the_candidate_goes_on(disk):
    async with disk.start() as device:
        worker = await begin(disk, device)
        device.available_bytes = 0
        await device.lifecycle.look()

        assert worker.is_closed
        assert device.slots.active == "b"
        assert happenings(device) == [Happening.SHADOW_BEGAN, Happening.SHADOW_SKIPPED]


async def test_stop_of_the_active_version_lets_the_candidate_take_over_at_once(disk):
    async with disk.start() as device:
        await begin(disk, device)
        device.orders.stop(ADDER, "1.0.0")
        device.serving.hold(ADDER, lambda: ModelStoppedError("stopped"))
        await device.lifecycle.look()

        assert device.slots.active == "b"


async def test_stop_of_the_candidate_ends_it(disk):
    async with disk.start() as device:
        worker = await begin(disk, device)
        device.orders.stop(ADDER, "1.1.0")
        await device.lifecycle.look()

        assert worker.is_closed
        assert (await device.answer())[0] == "1.0.0"
        assert device.slots.b.state is SlotState.EMPTY
        assert device.report.status().models[0].candidate is None


async def test_rollout_of_another_version_ends_it_and_begins_with_that(disk):
    async with disk.start() as device:
        worker = await begin(disk, device)
        disk.stage("1.2.0")
        await device.lifecycle.look()

        assert worker.is_closed
        assert (device.slots.b.state, str(device.slots.b.content.version)) == (SHADOW, "1.2.0")
        assert device.report.status().models[0].candidate.shadow.requests == 0


async def test_rollout_that_names_the_active_version_again_ends_it(disk):
    async with disk.start() as device:
        worker = await begin(disk, device)
        disk.roll_out("1.0.0")
        await device.lifecycle.look()

        assert worker.is_closed
        assert device.slots.b.state is SlotState.EMPTY
        await ask(device, 1)


async def test_active_version_that_fails_leaves_the_candidate_to_take_over(disk):
    """Its slot had the fallback before: nothing else is there to answer."""
    async with disk.start() as device:
        disk.stage("1.0.0")
        device.trial, device.shadow = TrialRules(min_s=3600.0), RULES
        await device.lifecycle.look()
        disk.stage("1.1.0")
        await device.lifecycle.look()
        assert (device.slots.a.state, device.slots.b.state) == (TRIAL, SHADOW)
        device.serving.served[ADDER].worker.error = BackendError("a node failed")
        for _ in range(20):
            with pytest.raises(BackendError):
                await device.answer()
        await device.lifecycle.look()

        assert (device.slots.a.state, device.slots.active) == (BAD, "b")
        assert (await device.answer())[0] == "1.1.0"


async def test_window_that_has_closed_holds_up_what_comes_after_it_and_not_the_run(disk):
    async with disk.start() as device:
        await begin(disk, device)
        device.window.reasons = ["the hours 22:00-05:00"]
        await ask(device)
        device.clock.advance(100.0)
        await device.lifecycle.look()
        assert (device.slots.active, device.slots.b.state) == ("a", READY)
        assert device.report.status().models[0].candidate.waiting_for == ("the hours 22:00-05:00",)

        device.window.reasons = []
        await device.lifecycle.look()
        assert device.slots.active == "b"
        assert len(device.starter.in_shadow) == 1, "it needs no second run"


@pytest.mark.parametrize("news", ["stopped", "not wanted", "window closed"])
async def test_what_is_said_while_another_model_does_what_is_heavy_counts(disk, news):
    """A candidate that has passed waits for its turn to be loaded, and that may take minutes."""
    async with disk.start() as device:
        await begin(disk, device)
        await ask(device)
        device.clock.advance(100.0)
        heavy = device.lifecycle.attempts._heavy
        await heavy.acquire()
        looking = asyncio.create_task(device.lifecycle.look())
        await until(lambda: device.lifecycle.shadows.running(ADDER) is None)
        await settle()
        match news:
            case "stopped":
                device.orders.stop(ADDER, "1.1.0")
            case "not wanted":
                disk.roll_out("1.0.0")
            case _:
                device.window.reasons = ["the hours 22:00-05:00"]
        heavy.release()
        await looking

        assert (await device.answer())[0] == "1.0.0"
        assert (device.slots.a.state, device.slots.b.state) == (GOOD, READY)


async def test_device_that_cannot_start_its_worker_tries_again_later(disk):
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
        device.shadow = RULES
        disk.verdicts["1.1.0"] = None
        disk.stage("1.1.0")

        async def no_worker(_loadable, _memory):
            raise BackendError("no process")

        start, device.lifecycle.shadows._start_worker = device.lifecycle.shadows._start_worker, no_worker
        await device.lifecycle.look()
        assert device.slots.b.state is READY
        device.lifecycle.shadows._start_worker = start
        device.clock.advance(61.0)
        await device.lifecycle.look()
        assert device.slots.b.state is SHADOW


async def test_restart_begins_the_run_again_and_its_time_goes_on(disk):
    async with disk.start() as device:
        await begin(disk, device)
        device.clock.advance(WRITE_EVERY_S)
        await device.lifecycle.look()
        device.clock.advance(30.0)
        await device.lifecycle.look()
    async with disk.start(shadow=RULES) as device:
        assert device.slots.b.state is READY
        await device.lifecycle.look()
        assert device.slots.b.state is SHADOW
        assert device.report.status().models[0].candidate.shadow.left_s == RULES.max_s - WRITE_EVERY_S
        device.clock.advance(10.0)
        await device.lifecycle.look()
        await device.lifecycle.end_cleanly()
    async with disk.start(shadow=RULES) as device:
        await device.lifecycle.look()
        left_s = device.report.status().models[0].candidate.shadow.left_s
        assert left_s == RULES.max_s - WRITE_EVERY_S - 10.0, "who is told to stop keeps all of it"


async def test_daemon_that_keeps_ending_during_it_turns_the_candidate_down(disk):
    async with disk.start() as device:
        await begin(disk, device)
    for _ in range(TrialRules().max_daemon_starts):
        async with disk.start(shadow=RULES) as device:
            await device.lifecycle.look()
            assert device.slots.b.state is SHADOW
    async with disk.start(shadow=RULES) as device:
        assert device.slots.b.state is BAD
        assert "during its shadow run" in device.slots.b.reason
        assert (await device.answer())[0] == "1.0.0"


@pytest.mark.parametrize("writes", range(4))
@pytest.mark.parametrize("is_after", [True, False])
async def test_cut_anywhere_goes_on_from_there(disk, writes, is_after):
    """Each of the moves of a candidate that is activated out of the shadow, on the disk or not."""
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
        device.shadow = rules_with(min_s=0.0, min_requests=0)
        disk.stage("1.1.0")
        disk.writes_left, disk.is_cut_after = writes + 1, is_after
        with pytest.raises(Cut):
            await look_often(device)
    disk.writes_left = None
    async with disk.start(shadow=rules_with(min_s=0.0, min_requests=0)) as device:
        await look_often(device)
        assert (await device.answer())[0] == "1.1.0"


def rules_with(**values) -> ShadowRules:
    return ShadowRules(**{name: getattr(RULES, name) for name in RULES.__struct_fields__} | values)


async def test_policy_that_no_longer_asks_for_it_ends_it(disk):
    async with disk.start() as device:
        await begin(disk, device)
        device.shadow = ShadowRules()
        await device.lifecycle.look()

        assert device.slots.active == "b"


async def test_share_that_is_changed_counts_from_the_next_look_on(disk):
    async with disk.start() as device:
        worker = await begin(disk, device)
        device.shadow = rules_with(share=1e-12)
        await device.lifecycle.look()
        await ask(device)

        assert worker.runs == []


async def test_what_answers_in_place_of_the_active_version_is_looked_at_too(disk):
    """A worker that had to be loaded anew, or another variant."""
    async with disk.start() as device:
        worker = await begin(disk, device)
        device.serving.put(await device.serving.load(device.serving.served[ADDER].loadable))
        await device.lifecycle.look()
        await ask(device, 3)

        assert len(worker.runs) == 3
