"""A model of which nothing is under way is looked at seldom, and at once when anything changes."""

import asyncio
import shutil
from contextlib import asynccontextmanager

import pytest

from edged.activation.trial import TrialRules
from edged.daemon.lifecycle import lifecycle as module
from edged.errors import BackendError
from edged.ids import Version
from tests.fakes.daemons import ADDER, until

NEVER_S = 3600.0


@asynccontextmanager
async def running(device):
    """Have every model looked after as long as this is entered."""
    task = asyncio.create_task(device.lifecycle.run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture
def pauses(monkeypatch):
    """How long each look at anything was to be waited for, newest last; nothing is waited for but changes."""
    found, wait = [], module._wait

    async def note(change, *, timeout_s):
        found.append(timeout_s)
        await wait(change, timeout_s=NEVER_S)

    monkeypatch.setattr(module, "_wait", note)
    return found


async def pause_after_a_look(device, pauses):
    """Return how long the model's task waits for its next look, if nothing changes."""
    async with running(device):
        await until(lambda: len(pauses) >= 2)
        before = len(pauses)
        device.lifecycle.wake()
        await until(lambda: len(pauses) >= before + 2)
    return min(pauses[before:])


async def test_a_model_that_is_good_and_answers_is_at_rest(disk, pauses):
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()

        assert await pause_after_a_look(device, pauses) == module.REST_EVERY_S


async def test_a_trial_is_watched(disk, pauses):
    async with disk.start(trial=TrialRules(min_s=3600)) as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()

        assert await pause_after_a_look(device, pauses) == module.LOOK_EVERY_S


async def test_a_candidate_that_waits_for_its_window_is_asked_about(disk, pauses):
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
        device.window.reasons = ["mains power"]
        disk.stage("1.1.0")

        assert await pause_after_a_look(device, pauses) == module.LOOK_EVERY_S


async def test_a_version_that_the_updater_has_not_brought_yet_is_looked_for(disk, pauses):
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
        disk.roll_out("1.1.0", name="adder")

        assert await pause_after_a_look(device, pauses) == module.LOOK_EVERY_S


async def test_a_model_that_could_not_be_loaded_is_not_at_rest(disk, pauses):
    """What rests after trouble is tried again at its time."""
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
    async with disk.start(BackendError("no memory")) as device:
        assert ADDER not in device.serving.served

        assert await pause_after_a_look(device, pauses) == module.LOOK_EVERY_S


async def test_a_model_that_was_turned_down_and_is_not_wanted_is_at_rest(disk, pauses):
    disk.verdicts["1.0.0"] = ValueError("golden outputs differ")
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
        assert device.slots.active is None

        assert await pause_after_a_look(device, pauses) == module.REST_EVERY_S


async def test_a_model_of_which_only_a_bad_version_is_left_is_not_at_rest(disk, pauses):
    """The updater may mend it at any time."""
    disk.verdicts["1.1.0"] = ValueError("golden outputs differ")
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
        disk.stage("1.1.0")
        await device.lifecycle.look()
    shutil.rmtree(disk.layout.bundle(ADDER, Version.parse("1.0.0")))
    async with disk.start() as device:
        assert device.slots.active is None

        assert await pause_after_a_look(device, pauses) == module.LOOK_EVERY_S


async def test_a_model_at_rest_that_stops_answering_is_looked_at_at_once(disk, pauses):
    async with disk.start() as device:
        disk.stage("1.0.0")
        await device.lifecycle.look()
        async with running(device):
            await until(lambda: len(pauses) >= 2)
            device.serving.remove(ADDER)
            device.serving.announce(ADDER)

            await until(lambda: ADDER in device.serving.served)


async def test_a_model_that_is_new_in_the_rollout_is_looked_after_at_once(disk, pauses):
    async with disk.start() as device, running(device):
        await until(lambda: len(pauses) >= 1)
        disk.stage("1.0.0")
        device.lifecycle.wake()

        await until(lambda: ADDER in device.serving.served)
