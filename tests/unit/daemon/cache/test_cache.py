"""Answers that are given again: made in the background, told to whom they belong, and gone with the version that gave them."""

import asyncio

import msgspec
import pytest

from edged.bundle.manifest import State
from edged.config.schema import CacheConfig
from edged.daemon.serving.keeper import Loadable
from edged.errors import BackendError, ModelStoppedError
from edged.ids import ModelName
from tests.fakes.decided_devices import DecidedDevice, decided_device
from tests.fakes.requests import BACKGROUND, Asked
from tests.fakes.rules import rule
from tests.fakes.served_workers import loadable_of

ECHO = ModelName("echo")


class Device(DecidedDevice):
    """An ``echo`` with fake workers, and what it knows already."""

    async def ask(self, data: bytes = b"7", **options) -> tuple[Asked, bool]:
        """Ask, and have the worker answer if it was asked; returns what came, and whether it was known."""
        asked, taken = self.submit(data, **options)
        assert not asked.is_finished, "nothing is finished before its caller knows who has taken it"
        await asyncio.sleep(0)
        if not asked.is_finished:
            self.worker.answer_all()
        return asked, taken.is_cached


@pytest.fixture
async def device(monkeypatch):
    async with decided_device(monkeypatch, Device) as device:
        device.worker = device.fp32
        yield device


async def test_what_was_made_in_the_background_is_given_at_once_to_whoever_waits(device):
    first, was_known = await device.ask(request_class=BACKGROUND)
    again, is_known = await device.ask()

    assert (first.answer, again.answer) == (b"7", b"7")
    assert (was_known, is_known) == (False, True)
    stats = device.serving.stats("echo")
    assert (stats.hits.count, stats.misses, stats.requests["ok"]) == (1, 1, 2)
    assert stats.run_duration_s.count == 1, "nothing ran for the second"


async def test_what_somebody_waited_for_is_not_kept(device):
    """Such requests would pay for hashing and memory, and mostly for nothing."""
    await device.ask()

    assert device.cache.sizes.results == 0
    assert not (await device.ask())[1]
    assert device.serving.stats("echo").misses == 0, "it was not even looked for"


@pytest.mark.parametrize(
    "options",
    [{"data": b"8"}, {"uid": 1}, {"may_cache": False}],
    ids=["another question", "another user", "unwanted"],
)
async def test_another_question_runs(device, options):
    await device.ask(request_class=BACKGROUND)

    assert not (await device.ask(**options))[1]


async def test_users_share_what_is_known_where_the_administrator_says_so(device):
    device.rules = CacheConfig(shared=True)
    await device.ask(request_class=BACKGROUND, uid=1)

    assert (await device.ask(uid=2))[1]


async def test_what_is_not_to_be_kept_is_not(device):
    await device.ask(request_class=BACKGROUND, may_cache=False)
    await device.ask(b"1234", request_class=BACKGROUND)
    assert device.cache.sizes.results == 1

    device.rules = CacheConfig(max_input_bytes=3)
    assert not (await device.ask(b"1234"))[1], "its inputs are too large"
    device.rules = CacheConfig(max_bytes=0)
    assert not (await device.ask(b"1234"))[1]
    assert device.cache.sizes.results == 0, "it is off"


async def test_an_error_is_not_kept(device):
    asked, _ = device.submit(b"7", request_class=BACKGROUND)
    asked.call.finish(BackendError("it failed"))

    assert device.cache.sizes.results == 0


async def test_a_new_version_begins_with_nothing(device):
    await device.ask(request_class=BACKGROUND)
    device.worker = await device.models.load("fp32", version="2.0.0")

    assert (device.cache.sizes.results, device.cache.sizes.results_bytes) == (0, 0)
    assert not (await device.ask())[1]


async def test_an_answer_that_comes_after_its_version_was_replaced_is_not_kept(device):
    asked, _ = device.submit(b"7", request_class=BACKGROUND)
    before = device.worker
    device.worker = await device.models.load("fp32", version="2.0.0")
    before.answer_all()

    assert asked.answer == b"7"
    assert device.cache.sizes.results == 0


async def test_an_answer_of_another_variant_than_was_asked_is_not_kept(device):
    """It may have been taken over while it waited."""
    asked, _ = device.submit(b"7", request_class=BACKGROUND)
    asked.call.instead = "echo-int8"
    device.worker.answer_all()

    assert asked.answer == b"7"
    assert device.cache.sizes.results == 0


async def test_no_answer_of_a_sequence_is_kept(device):
    await device.ask(request_class=BACKGROUND, sequence=1)

    assert device.cache.sizes.results == 0


async def test_no_answer_of_a_model_with_a_state_is_kept(device):
    plain = loadable_of("3.0.0")
    variant = msgspec.structs.replace(plain.variant, id="echo-fp32", state=(State(input="x", output="x"),))
    device.serving.put(await device.serving.load(Loadable(bundle=plain.bundle, variant=variant)))
    device.models.variants.become("echo", variant)
    device.worker = device.models.starter.last

    await device.ask(request_class=BACKGROUND)

    assert device.cache.sizes.results == 0


async def test_a_stopped_model_answers_nothing_that_it_knows(device):
    await device.ask(request_class=BACKGROUND)
    device.serving.hold(ECHO, lambda: ModelStoppedError("stopped", hint="", reason=""))

    assert device.cache.sizes.results == 0
    with pytest.raises(ModelStoppedError):
        await device.ask()


async def test_each_variant_has_answers_of_its_own(device):
    await device.ask(request_class=BACKGROUND)
    fp32, device.worker = device.worker, await device.models.load("int8")
    device.policies.become(rule("small", variants=("int8",)))
    assert not (await device.ask())[1]

    device.policies.become()
    device.worker = fp32
    assert (await device.ask())[1], "what the other variant said is known still"


async def test_a_caller_that_leaves_is_forgotten(device):
    await device.ask(request_class=BACKGROUND)
    asked, _ = device.submit(b"7")
    asked.call.abandon()
    await asyncio.sleep(0)

    assert len(asked.outcomes) == 1


async def test_an_app_that_is_answered_so_has_asked(device):
    """For the quiet window and the idle time it makes no difference who had the answer."""
    await device.ask(request_class=BACKGROUND)
    device.time.now_s += 100.0
    assert device.serving.unwanted_s() == 100.0

    await device.ask()

    assert device.serving.unwanted_s() == 0.0
