"""A bundle's way through the daemon, with real files, real workers and a real slot table."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from edged.activation.trial import TrialRules
from edged.daemon.lifecycle.answering import MOST_TRIES
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.serving.served import Served
from edged.errors import BackendError, ModelUnknownError, TensorError, UnavailableError
from edged.store.slots import SlotEvent, SlotState
from edged.store.state import StateDb
from tests.fakes.bundles import adder_answer
from tests.fakes.daemons import ADDER, HELLO, Disk


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


async def test_staged_bundle_is_validated_activated_and_found_good(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()

        assert await device.answer() == ("1.0.0", adder_answer(HELLO))
        assert device.slots.active == "a"
        assert device.slots.a.state is SlotState.GOOD
        assert device.beats > 4
        assert device.report.status().state == "serving"


async def test_second_version_takes_over_and_the_first_becomes_the_fallback(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        disk.stage("1.1.0")
        await device.lifecycle.look()

        assert (await device.answer())[0] == "1.1.0"
        assert device.slots.active == "b"
        assert device.slots.a.state is SlotState.FALLBACK


async def test_requests_during_a_swap_are_all_answered_by_one_version_or_the_other(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        versions = []

        async def keep_asking():
            while device.slots.active == "a" or not versions or versions[-1] != "1.1.0":
                version, answer = await device.answer()
                assert answer == adder_answer(HELLO)
                versions.append(version)

        async with asyncio.TaskGroup() as askers:
            for _ in range(16):
                askers.create_task(keep_asking())
            disk.stage("1.1.0")
            await device.lifecycle.look()

        assert set(versions) == {"1.0.0", "1.1.0"}
        assert device.serving.stats(ADDER).rejections == {}
        assert set(device.serving.stats(ADDER).requests) == {"ok"}


async def test_worker_that_is_killed_is_replaced_and_the_request_after_it_is_answered(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        worker = device.serving.served[ADDER].worker
        os.kill(worker.pid, signal.SIGKILL)
        await worker.lost.wait()

        assert await device.answer() == ("1.0.0", adder_answer(HELLO))
        (model,) = device.report.status().models
        assert model.worker.restarts == 1
        assert model.worker.pid not in {None, worker.pid}


async def test_status_tells_what_the_worker_has_to_do_and_what_its_sandbox_lacks(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        served = device.serving.served[ADDER]
        served.worker.unconfined = ("no Landlock",)
        asking = [asyncio.create_task(device.answer()) for _ in range(50)]
        await asyncio.sleep(0)
        (model,) = device.report.status().models
        await asyncio.gather(*asking)

        assert model.state == "serving"
        assert model.worker.running >= 1
        assert model.worker.queued + model.worker.running == 50
        assert model.worker.unconfined == ("no Landlock",)


async def test_wrong_golden_outputs_are_refused_with_the_reason_while_the_first_version_answers(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        disk.stage("1.1.0", golden_offset=0.5)
        await device.lifecycle.look()

        assert await device.answer() == ("1.0.0", adder_answer(HELLO))
        status = device.report.status()
        (model,) = status.models
        assert status.state == "degraded"
        assert model.needs_review
        assert [refusal.version for refusal in model.refused] == ["1.1.0"]
        assert "golden" in model.refused[0].reason
        assert device.slots.b.state is SlotState.BAD


async def test_refused_version_is_not_tried_again_even_after_a_restart(disk):
    disk.stage("1.0.0", golden_offset=0.5)
    async with disk.start() as device:
        await device.lifecycle.look()
    async with disk.start() as device:
        before = device.slots
        await device.lifecycle.look()

        assert device.slots == before
        with pytest.raises(ModelUnknownError, match="no model adder is active"):
            await device.answer()


async def test_review_is_over_when_a_newer_version_is_good(disk):
    disk.stage("1.0.0", golden_offset=0.5)
    async with disk.start() as device:
        await device.lifecycle.look()
        disk.stage("1.0.1")
        await device.lifecycle.look()

        assert device.report.status().state == "serving"


async def test_restart_serves_what_was_active_before_anyone_is_asked(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
    disk.layout.rollout.unlink()
    async with disk.start() as device:
        assert await device.answer() == ("1.0.0", adder_answer(HELLO))
        assert device.beats == 1, "each model that is loaded is progress, or systemd gives up on many"


async def test_bundle_altered_in_the_store_is_never_activated_and_tried_again_later(disk):
    """The disk's fault is not the publisher's: nothing is refused for good."""
    model = next(disk.stage("1.0.0").rglob("*.onnx"))
    original = model.read_bytes()
    model.chmod(0o644)
    model.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    async with disk.start() as device:
        await device.lifecycle.look()
        assert device.slots.a.state is SlotState.EMPTY
        assert device.table.refused == {}

        model.write_bytes(original)
        await device.lifecycle.look()
        assert device.slots.a.state is SlotState.EMPTY, "tried again before its time"
        device.clock.advance(3600.0)
        await device.lifecycle.look()
        assert device.slots.a.state is SlotState.GOOD


async def test_what_cannot_be_read_is_said_once_and_not_once_a_look(disk, caplog):
    """The journal of a device that nobody visits must not fill up."""
    manifest = disk.stage("1.0.0") / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_bytes(b"{}")
    async with disk.start() as device:
        for _ in range(3):
            await device.lifecycle.look()

    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [text.partition(":")[0] for text in warnings] == ["Candidate adder 1.0.0 set aside for 60 s"]


async def test_active_bundle_altered_on_disk_falls_back_at_the_next_start(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        second = disk.stage("1.1.0")
        await device.lifecycle.look()
        assert device.slots.active == "b"
    model = next(second.rglob("*.onnx"))
    model.chmod(0o644)
    model.write_bytes(model.read_bytes()[:-1] + b"\x00")
    async with disk.start() as device:
        assert (await device.answer())[0] == "1.0.0"
        assert device.slots.b.state is SlotState.BAD
        assert device.slots.a.state is SlotState.GOOD


async def test_trial_that_was_interrupted_is_finished_after_the_restart(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
    rewind(disk.state)
    async with disk.start() as device:
        assert device.slots.a.state is SlotState.TRIAL
        await device.lifecycle.look()
        assert device.slots.a.state is SlotState.GOOD


async def test_write_that_was_interrupted_leaves_an_empty_slot_and_begins_again(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
    async with disk.start() as device:
        content = device.slots.a.content
        await device.table.move(ADDER, Move(slot="b", what=SlotEvent.WRITE_BEGAN, content=content, cause="test"))
    async with disk.start() as device:
        assert device.slots.b.state is SlotState.EMPTY
        assert (await device.answer())[0] == "1.0.0"


async def test_trouble_of_the_device_at_start_burns_no_slot(disk):
    """No memory, no process, a slow disk: what was good is tried again, and unavailable, not unknown, until then."""
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
    async with disk.start(BackendError("the system refused a worker")) as device:
        with pytest.raises(UnavailableError):
            await device.answer()
        assert device.slots.a.state is SlotState.GOOD
        device.clock.advance(3600.0)
        await device.lifecycle.look()
        assert (await device.answer())[0] == "1.0.0"


async def test_what_was_good_comes_back_when_the_rollout_names_what_was_refused(disk):
    """Both slots lost to a trouble that lasted: better the old model than none."""
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        disk.stage("1.1.0", golden_offset=0.5)
        await device.lifecycle.look()
    async with disk.start(*[BackendError("no worker")] * MOST_TRIES) as device:
        for _ in range(MOST_TRIES):
            device.clock.advance(3600.0)
            await device.lifecycle.look()
        assert (await device.answer())[0] == "1.0.0"


async def test_candidate_that_fails_in_an_unforeseen_way_is_refused_and_ends_nothing(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        disk.stage("1.1.0")
        device.troubles.append(ZeroDivisionError("nobody thought of this"))
        await device.lifecycle.look()

        assert (await device.answer())[0] == "1.0.0"
        assert [refused.reason for refused in device.table.refused.values()] == ["nobody thought of this"]


async def test_trouble_of_the_device_is_not_held_against_the_candidate(disk):
    disk.stage("1.0.0")
    async with disk.start(BackendError("the runtime's process ended")) as device:
        await device.lifecycle.look()
        assert device.table.refused == {}
        device.clock.advance(3600.0)
        await device.lifecycle.look()
        assert (await device.answer())[0] == "1.0.0"


async def test_trial_that_finds_the_queue_full_goes_on_later(disk, monkeypatch):
    """The kit stands in line with the apps' requests; a busy device is no bad model."""
    disk.stage("1.0.0")
    async with disk.start() as device:
        monkeypatch.setattr(Served, "infer", busy)
        await device.lifecycle.look()
        assert device.slots.a.state is SlotState.TRIAL
        monkeypatch.undo()
        device.clock.advance(3600.0)
        await device.lifecycle.look()
        assert device.slots.a.state is SlotState.GOOD


async def test_model_whose_trial_failed_does_not_go_on_answering_while_the_fallback_cannot_be_loaded(disk, monkeypatch):
    """What was found wrong is worse than a moment without answers, and the fallback is tried again."""
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        disk.stage("1.1.0")
        device.available_bytes = 0  # so that nothing stands by

        async def wrong(*_args, **_options):
            device.troubles.append(BackendError("no process just now"))
            raise TensorError("the model takes nothing any more")

        monkeypatch.setattr(Served, "infer", wrong)
        await device.lifecycle.look()
        monkeypatch.undo()

        assert device.slots.active == "a"
        with pytest.raises(UnavailableError):
            await device.answer()
        device.troubles.clear()
        device.clock.advance(3600.0)
        await device.lifecycle.look()
        assert (await device.answer())[0] == "1.0.0"


async def busy(*_args, **_options):
    raise UnavailableError("64 requests are waiting for this model already")


async def test_slot_table_that_cannot_be_written_stops_no_answers(disk):
    """A full disk: the move fails as a whole, the active model goes on."""
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        disk.stage("1.1.0")
        device.table._state._connection.execute("PRAGMA query_only = 1")
        await device.lifecycle.look()

        assert (await device.answer())[0] == "1.0.0"
        assert device.slots.b.state is SlotState.EMPTY


def rewind(state: Path) -> None:
    """Put the active slot back to where a power cut after activation leaves it."""
    db = StateDb.open(state)
    db._connection.execute("UPDATE slots SET state = 'trial' WHERE is_active = 1")
    db.close()


async def test_bad_trial_has_the_version_before_answer_from_the_worker_it_had(disk):
    """Nothing is loaded for it: the worker stood by."""
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        pid = device.serving.served[ADDER].worker.pid
        device.trial = TrialRules(min_s=3600.0)
        disk.stage("1.1.0", more=1.0)
        await device.lifecycle.look()
        assert await device.answer() == ("1.1.0", adder_answer(HELLO) + 1.0)
        for _ in range(2):
            worker = device.serving.served[ADDER].worker
            os.kill(worker.pid, signal.SIGKILL)
            await worker.lost.wait()
            await device.answer()
        await device.lifecycle.look()

        assert await device.answer() == ("1.0.0", adder_answer(HELLO))
        assert device.serving.served[ADDER].worker.pid == pid
        assert device.slots.b.state is SlotState.BAD


async def test_trial_that_goes_well_ends_the_worker_that_stood_by(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        before = device.serving.served[ADDER].worker
        device.trial = TrialRules(min_s=3600.0)
        disk.stage("1.1.0", more=1.0)
        await device.lifecycle.look()
        assert before.is_usable
        device.clock.advance(3600.0)
        await device.lifecycle.look()
        await before.lost.wait()

        assert (await device.answer())[0] == "1.1.0"
