"""What an administrator may tell the device about its models."""

import asyncio

import pytest

from edged.activation.trial import TrialRules
from edged.daemon.lifecycle.slot_changes import Move
from edged.errors import BackendError, ModelUnknownError, NothingToDoError, NotPermittedError
from edged.ids import Version
from edged.store.history import Happening
from edged.store.slots import SlotEvent, SlotState
from tests.fakes.daemons import ADDER, until
from tests.fakes.served_workers import settle

ALICE = "operator alice (uid 1000)"


async def take(disk, device, *versions):
    for version in versions:
        disk.stage(version, more=float(Version.parse(version).minor))
        await device.lifecycle.look()


@pytest.mark.parametrize("trial", [TrialRules(min_s=0), TrialRules(min_s=3600)], ids=["good", "on trial"])
async def test_rollback_has_the_version_before_answer_and_keeps_it_so(disk, trial):
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.trial = trial
        await take(disk, device, "1.1.0")
        version = await device.steering.rollback("adder", reason="it calls everything a cat", by=ALICE)
        await device.lifecycle.look()

        assert version == "1.0.0"
        assert (await device.answer())[0] == "1.0.0"
        assert device.slots.b.state is SlotState.BAD
        (model,) = device.report.status().models
        assert model.needs_review
        assert [(refusal.version, refusal.reason) for refusal in model.refused] == [
            ("1.1.0", "it calls everything a cat")
        ]
        newest = device.steering.history(model="adder", limit=2)
        assert {(entry.what, entry.cause) for entry in newest} == {
            (Happening.REFUSED, ALICE),
            (Happening.ROLLED_BACK, ALICE),
        }


async def test_rollback_that_comes_before_a_verdict_is_not_undone_by_it(disk):
    """The verdict was found before, and its turn comes after."""
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.trial = TrialRules(min_s=3600)
        await take(disk, device, "1.1.0")
        device.clock.advance(3600.0)
        async with device.lifecycle.answering.turn(ADDER):
            rollback = asyncio.create_task(device.steering.rollback("adder", reason="wrong", by=ALICE))
            await settle()
            look = asyncio.create_task(device.lifecycle.trials.look(ADDER))
            await settle()
        await asyncio.gather(rollback, look)

        assert (await device.answer())[0] == "1.0.0"
        assert device.slots.b.state is SlotState.BAD


async def test_rollback_that_comes_while_a_trial_ends_well_turns_the_version_down(disk):
    """It is the version that is meant, not its trial."""
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.trial = TrialRules(min_s=3600)
        await take(disk, device, "1.1.0")
        async with device.lifecycle.answering.turn(ADDER):
            rollback = asyncio.create_task(device.steering.rollback("adder", reason="wrong", by=ALICE))
            await settle()
            await device.table.move(ADDER, Move(slot="b", what=SlotEvent.HEALTH_PASSED, cause="trial"))
        await rollback

        assert (await device.answer())[0] == "1.0.0"
        assert device.slots.b.state is SlotState.BAD


async def test_rollback_without_a_proven_version_changes_nothing(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0")

        with pytest.raises(NothingToDoError, match="no proven version"):
            await device.steering.rollback("adder", reason="", by=ALICE)
        with pytest.raises(ModelUnknownError):
            await device.steering.rollback("nobody", reason="", by=ALICE)
        assert (await device.answer())[0] == "1.0.0"


async def test_rollback_below_the_floor_is_refused(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0", "1.1.0")
        device.orders.floors[ADDER] = Version.parse("1.1.0")

        with pytest.raises(NothingToDoError):
            await device.steering.rollback("adder", reason="", by=ALICE)
        assert (await device.answer())[0] == "1.1.0"


async def test_rollback_is_done_to_its_end_when_whoever_asked_for_it_has_left(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0", "1.1.0")
        asking = asyncio.create_task(device.steering.rollback("adder", reason="wrong", by=ALICE))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with device.lifecycle.answering.turn(ADDER):
            pass  # whatever is under way has come to its end

        assert (await device.answer())[0] == "1.0.0"
        assert device.table.models[ADDER].active == "a"


async def test_apply_opens_the_window_for_a_candidate_that_waits(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.window.reasons = ["mains power"]
        await take(disk, device, "1.1.0")

        assert await device.steering.apply("adder", version=None, by=ALICE) == "1.1.0"
        await device.lifecycle.look()
        assert (await device.answer())[0] == "1.1.0"
        opened = [e for e in device.steering.history(model="adder", limit=100) if e.what is Happening.WINDOW_OPENED]
        assert [(entry.version, entry.cause) for entry in opened] == [("1.1.0", ALICE)]

        await take(disk, device, "1.2.0")
        assert device.slots.a.state is SlotState.READY, "the window was opened for one version"


async def test_window_that_was_opened_for_what_never_asked_is_not_open_for_the_next(disk):
    """The proven version takes over without asking the window."""
    async with disk.start() as device:
        await take(disk, device, "1.0.0", "1.1.0")
        disk.roll_out("1.0.0")
        await device.steering.apply("adder", version="1.0.0", by=ALICE)
        await device.lifecycle.look()

        assert (await device.answer())[0] == "1.0.0"
        assert device.window.opened == set()


async def test_apply_tries_again_what_was_turned_down(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0", "1.1.0")
        await device.steering.rollback("adder", reason="by mistake", by=ALICE)
        await device.steering.apply("adder", version="1.1.0", by=ALICE)
        await device.lifecycle.look()

        assert (await device.answer())[0] == "1.1.0"
        assert device.table.refused == {}
        assert device.report.status().state == "serving"
        lifted = [e for e in device.steering.history(model="adder", limit=100) if e.what is Happening.REFUSAL_LIFTED]
        assert [(entry.version, entry.cause, entry.reason) for entry in lifted] == [("1.1.0", ALICE, "by mistake")]
    async with disk.start() as device:
        assert device.table.refused == {}


async def test_apply_ends_the_rest_after_trouble(disk):
    """Whoever has mended what was wrong need not wait for the next try."""
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.troubles.append(BackendError("no process"))
        await take(disk, device, "1.1.0")
        await device.lifecycle.look()
        assert device.slots.b.state is SlotState.READY

        await device.steering.apply("adder", version=None, by=ALICE)
        await device.lifecycle.look()
        assert (await device.answer())[0] == "1.1.0"


async def test_apply_lets_nothing_run_that_must_not(disk):
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        with pytest.raises(NothingToDoError, match="runs already"):
            await device.steering.apply("adder", version=None, by=ALICE)
        with pytest.raises(ModelUnknownError, match=r"the rollout names 1\.0\.0"):
            await device.steering.apply("adder", version="9.9.9", by=ALICE)
        with pytest.raises(ModelUnknownError):
            await device.steering.apply("nobody", version=None, by=ALICE)

        disk.stage("1.1.0")
        device.orders.stop(ADDER, "1.1.0")
        with pytest.raises(NotPermittedError, match="stopped"):
            await device.steering.apply("adder", version=None, by=ALICE)
        device.orders.stops.clear()
        device.orders.floors[ADDER] = Version.parse("2.0.0")
        with pytest.raises(NotPermittedError, match="below"):
            await device.steering.apply("adder", version=None, by=ALICE)
        assert device.window.opened == set()


async def test_apply_wakes_whoever_looks_after_the_model(disk, monkeypatch):
    """At once, not when the next look is due."""
    monkeypatch.setattr("edged.daemon.lifecycle.lifecycle.LOOK_EVERY_S", 3600.0)
    monkeypatch.setattr("edged.daemon.lifecycle.lifecycle.REST_EVERY_S", 3600.0)
    async with disk.start() as device:
        await take(disk, device, "1.0.0")
        device.window.reasons = ["mains power"]
        disk.stage("1.1.0", more=1.0)
        running = asyncio.create_task(device.lifecycle.run())
        try:
            await until(lambda: bool(device.window.asked))
            await device.steering.apply("adder", version=None, by=ALICE)
            await until(lambda: device.slots.active == "b")
        finally:
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
