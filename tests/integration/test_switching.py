"""Variants are loaded and switched under requests that never stop: none is lost, and each is answered by what is said to answer it."""

import asyncio
import os
import signal

import pytest

from edged.activation.trial import TrialRules
from edged.daemon.lifecycle.rests import RETRY_AFTER_S
from edged.errors import BackendError, ModelStoppedError
from edged.select.decision import Measured
from edged.select.warm import WarmRules
from edged.store.slots import SlotState
from tests.fakes.daemons import ADDER, Disk, until
from tests.fakes.switching import (
    MORE,
    OUT_OF_TOLERANCE,
    asked_all_the_time,
    id_of,
    stage_variants,
    switching,
    switching_device,
)

SWITCHES = 100


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


def assert_right(answers):
    """Each is the answer of the variant that is said to have given it."""
    assert [(precision, more) for precision, more in answers if more != MORE[precision]] == []


async def test_wanted_variant_is_loaded_beside_the_other_and_answers_from_then_on(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        assert await device.ask() == ("fp32", MORE["fp32"])
        device.want("int8")
        assert device.answering == "fp32", "until the other is loaded"
        await device.until_answering("int8")

        assert await device.ask() == ("int8", MORE["int8"])
        assert await device.ask(id_of("fp32")) == ("fp32", MORE["fp32"])
        assert device.loaded == ["int8", "fp32"]
        assert set(device.told) == {"adder"}


async def test_switch_to_what_is_loaded_happens_in_the_call_itself(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        device.want("int8")
        await device.until_answering("int8")
        device.want("fp32")
        answered_by = device.answering
        device.want("int8")

        assert (answered_by, device.answering) == ("fp32", "int8")


async def test_a_stream_of_requests_over_many_switches_loses_none_and_mixes_no_answers(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        async with asked_all_the_time(device, 8, ["", "", "", id_of("int8")]) as answers:
            device.want("int8")
            await device.until_answering("int8")
            for switch in range(SWITCHES):
                device.want(("fp32", "int8")[switch % 2])
                expected = len(answers) + 20
                await until(lambda expected=expected: len(answers) >= expected)

        assert_right(answers)
        stats = device.serving.stats(ADDER)
        assert stats.rejections == {}
        assert set(stats.requests) == {"ok"}
        assert {precision for precision, _ in answers} == {"fp32", "int8"}
        assert device.variants.switches(ADDER) == {"warm": SWITCHES + 1}


async def test_where_memory_is_for_one_requests_wait_while_one_is_ended_and_the_other_loaded(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        device.available_bytes = 0
        async with asked_all_the_time(device, 8) as answers:
            for precision in ("int8", "fp32", "fp16"):
                before = device.serving.served[ADDER].worker
                device.want(precision)
                await device.until_answering(precision)
                assert before.lost.is_set(), "there were never two"
                expected = len(answers) + 20
                await until(lambda expected=expected: len(answers) >= expected)

        assert_right(answers)
        assert device.serving.stats(ADDER).rejections == {}
        assert device.variants.switches(ADDER) == {"cold": 3}
        assert device.loaded == ["fp16"]


async def test_what_waits_for_a_variant_that_cannot_be_loaded_is_answered_by_the_one_before(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        device.available_bytes = 0
        async with asked_all_the_time(device, 4) as answers:
            device.daemon.troubles.append(BackendError("no process"))
            device.want("int8")
            await until(lambda: bool(device.variants.unusable("adder")))
            expected = len(answers) + 20
            await until(lambda: len(answers) >= expected)

        assert_right(answers)
        assert {precision for precision, _ in answers} == {"fp32"}
        assert "no process" in str(device.variants.unusable("adder")[id_of("int8")])


async def test_variant_that_fails_its_kit_answers_nobody_and_says_why(disk):
    stage_variants(disk, more=MORE | {"int8": OUT_OF_TOLERANCE})
    async with switching_device(disk) as device:
        async with asked_all_the_time(device, 4, ["", id_of("int8")]) as answers:
            device.want("int8", "fp16")
            await until(lambda: bool(device.variants.unusable("adder")))
            await device.until_answering("fp16")

        assert_right(answers)
        assert {precision for precision, _ in answers} <= {"fp32", "fp16"}
        assert "sum" in device.variants.unusable("adder")[id_of("int8")][0]


async def test_variant_that_failed_is_tried_again_after_a_rest(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        device.daemon.troubles.append(BackendError("no process"))
        device.want("int8")
        await until(lambda: bool(device.variants.unusable("adder")))
        device.daemon.clock.advance(RETRY_AFTER_S + 1)

        await device.until_answering("int8")
        assert device.variants.unusable("adder") == {}


async def test_another_variant_answers_when_the_worker_of_one_cannot_be_started_again(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        worker = device.serving.served[ADDER].worker
        device.daemon.troubles.append(BackendError("no process"))
        os.kill(worker.pid, signal.SIGKILL)
        await until(lambda: device.answering in {"fp16", "int8"})
        assert device.variants.unusable("adder")[id_of("fp32")][0].startswith("its worker cannot be started")
        answering = device.answering
        # The first may be back by the time that it is asked, or answered.
        assert (await device.ask())[0] in {answering, "fp32"}

        await device.until_answering("fp32")
        assert device.variants.unusable("adder") == {}


async def test_what_nobody_wants_is_unloaded_after_a_while(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        device.want("int8")
        await device.until_loaded("fp32", "int8")
        device.daemon.clock.advance(device.rules.unload_after_s + 1)
        await device.until_loaded("int8")

        assert device.loaded == ["int8"]
        assert len(device.serving.loaded(ADDER)) <= 2


async def test_no_more_is_loaded_than_may_be(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        for precision in ("int8", "fp16", "fp32", "int8"):
            device.want(precision)
            await device.until_answering(precision)
            await until(lambda: len(device.loaded) <= device.rules.max_loaded)
        device.rules = WarmRules(max_loaded=1)
        await until(lambda: device.loaded == ["int8"])


async def test_what_is_wanted_beside_the_first_goes_when_memory_is_short_and_does_not_come_back_while_it_is(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        device.want("fp32", "int8")
        await device.until_loaded("fp32", "int8")
        device.available_bytes = 0
        await device.until_loaded("fp32")
        assert device.variants.switches(ADDER) == {}


async def test_restart_begins_with_the_variant_that_answered_last_and_knows_what_it_had_learned(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        device.want("int8")
        await device.until_answering("int8")
        for _ in range(30):
            await device.ask()
        # What passed its kit a moment ago has not been looked at yet.
        seen = device.variants.measured
        await until(lambda: seen("adder").get(id_of("int8"), Measured()).latency_s is not None)
        measured = seen("adder")[id_of("int8")]
    async with disk.start() as again:
        assert again.serving.served[ADDER].loadable.variant.precision == "int8"
    async with switching_device(disk) as device:
        known = device.variants.measured("adder")[id_of("int8")]

    assert 0 < measured.memory_bytes < 1 << 30
    assert known.memory_bytes >= measured.memory_bytes
    assert known.latency_s is not None, "no app has asked since the restart, so it is from before"


async def test_new_version_ends_every_variant_of_the_one_before(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        device.want("int8")
        await device.until_loaded("fp32", "int8")
        stage_variants(disk, "1.1.0")
        await device.daemon.lifecycle.look()
        await until(lambda: len(device.serving.loaded(ADDER)) == 1)

        assert device.variants.loaded("adder") == [id_of("fp32", "1.1.0")]
        assert [variant.id for variant in device.variants.known("adder")] == [
            id_of(precision, "1.1.0") for precision in ("fp32", "fp16", "int8")
        ]


async def test_stop_ends_what_is_under_way_in_every_variant_and_releases_all_of_them(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        device.want("fp32", "int8")
        await device.until_loaded("fp32", "int8")
        asking = [asyncio.create_task(device.ask(variant)) for variant in ("", id_of("int8"))]
        await asyncio.sleep(0)
        device.serving.hold(ADDER, lambda: ModelStoppedError("stopped", since="now"))
        ends = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(end) for end in ends] == [ModelStoppedError] * 2
        device.serving.release(ADDER)

        assert await device.ask(id_of("int8")) == ("int8", MORE["int8"])


async def test_start_with_a_damaged_variant_begins_with_another_that_is_proven_here(disk):
    """The version is not to blame for it, and goes on."""
    installed = stage_variants(disk)
    async with switching_device(disk) as device:
        device.want("int8")
        await device.until_answering("int8")
    (model,) = installed.glob("models/*int8*")
    whole = model.read_bytes()
    model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    async with disk.start() as again:
        assert again.serving.served[ADDER].loadable.variant.precision == "fp32"
        assert again.slots.active_slot.state is SlotState.GOOD


async def test_trial_goes_on_when_another_variant_answers(disk):
    stage_variants(disk)
    async with disk.start() as daemon:
        daemon.trial = TrialRules(min_s=100.0)
        await daemon.lifecycle.look()
        async with switching(daemon) as device:
            await device.ask()
            daemon.clock.advance(50.0)
            await daemon.lifecycle.look()
            device.want("int8")
            await device.until_answering("int8")
            await device.ask()
            await daemon.lifecycle.look()
            assert daemon.lifecycle.trials.record(ADDER).requests == 2
            daemon.clock.advance(51.0)
            await daemon.lifecycle.look()

        assert daemon.slots.active_slot.state is SlotState.GOOD


async def test_version_that_fails_its_trial_in_another_variant_makes_way_for_the_one_before(disk):
    stage_variants(disk)
    async with switching_device(disk) as device:
        device.want("int8")
        await device.until_answering("int8")
        stage_variants(disk, "1.1.0")
        device.daemon.trial = TrialRules(min_s=100.0)
        await device.daemon.lifecycle.look()
        device.variants.want("adder", [id_of("int8", "1.1.0")])
        await until(lambda: device.variants.loaded("adder")[:1] == [id_of("int8", "1.1.0")])
        await device.daemon.steering.rollback("adder", reason="wrong", by="operator alice")
        await until(lambda: len(device.serving.loaded(ADDER)) == 1)

        assert device.variants.loaded("adder") == [id_of("int8")]
        assert await device.ask() == ("int8", MORE["int8"])
