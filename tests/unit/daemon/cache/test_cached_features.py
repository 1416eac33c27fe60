"""What the steps before a model make of a request: brought in the background, and given to whichever variant answers later."""

import asyncio
from dataclasses import replace

import pytest

from edged.config.schema import CacheConfig
from edged.daemon.cache.kept import OVERHEAD_BYTES
from edged.errors import BackendError, HostUnreachableError, ModelStoppedError, WorkerLostError
from edged.ids import ModelName
from edged.pipeline.steps import Cast, Scale
from edged.runtime.tensors import InferResult
from tests.fakes.decided_devices import DecidedDevice, decided_device
from tests.fakes.requests import BACKGROUND, Asked, features_of, request_of, rows_of
from tests.fakes.rules import rule
from tests.fakes.served_workers import settle

ECHO = ModelName("echo")
MAKES_FEATURES = Scale(input="x", output="f", gain=1.0)
SMALL = rule("small", variants=("int8",))
MADE = features_of(rows_of(b"7"))


class Device(DecidedDevice):
    """An ``echo`` with a step before it, in two variants, both loaded."""

    async def ask(self, data: bytes = b"7", **options) -> InferResult:
        """Ask whatever answers now."""
        asked, _ = self.submit(data, **options)
        await asyncio.sleep(0)
        self.answer_all()
        (outcome,) = asked.outcomes
        return outcome

    async def learn(self, **options) -> None:
        """Have fp32 do work in the background, and int8 answer from then on."""
        await self.ask(request_class=BACKGROUND, **options)
        self.policies.become(SMALL)

    def answer_all(self) -> None:
        for worker in (self.fp32, self.int8):
            worker.answer_all()

    @property
    def counts(self) -> tuple[int, int]:
        stats = self.serving.stats("echo")
        return stats.feature_hits, stats.feature_misses


@pytest.fixture
async def device(monkeypatch):
    async with decided_device(monkeypatch, Device, pre=(MAKES_FEATURES,)) as device:
        device.int8 = await device.models.load("int8")
        yield device


def sent_to(worker):
    """What a worker was sent last."""
    (request,) = worker.runs[-1].requests
    return request.sent


async def test_what_one_variant_brought_another_one_is_given(device):
    await device.learn()
    result = await device.ask()

    assert sent_to(device.int8) == MADE
    assert result.had_features
    assert result.outputs[0].data == b"7"
    assert device.counts == (1, 1)
    assert device.serving.stats("echo").misses == 2, "the result was known for neither"


async def test_background_work_makes_use_of_them_too_and_its_answer_is_kept(device):
    await device.learn()
    await device.ask(request_class=BACKGROUND)
    assert sent_to(device.int8) == MADE

    known, taken = device.submit(b"7")
    await asyncio.sleep(0)

    assert taken.is_cached
    assert not known.outcomes[0].had_features, "nothing was run for it, not even a part"


async def test_of_the_same_variant_the_answer_itself_is_known(device):
    await device.ask(request_class=BACKGROUND)
    asked, taken = device.submit(b"7")
    await asyncio.sleep(0)

    assert taken.is_cached
    assert asked.outcomes[0].features is None, "a result that is kept does not hold them a second time"


async def test_other_outputs_of_the_same_request_have_the_same_features(device):
    await device.ask(request_class=BACKGROUND)

    assert (await device.ask(outputs=("x",))).had_features


@pytest.mark.parametrize(
    "options",
    [{"data": b"8"}, {"uid": 1}, {"may_cache": False}],
    ids=["another question", "another user", "unwanted"],
)
async def test_another_question_is_done_from_its_inputs(device, options):
    await device.learn()
    result = await device.ask(**options)

    assert not result.had_features
    assert sent_to(device.int8)[0].name == "x"


async def test_what_somebody_waited_for_is_asked_for_no_features(device):
    await device.ask()

    assert device.fp32.runs[-1].requests[0].features is None
    assert device.counts == (0, 0), "they were not even looked for"


async def test_where_only_one_variant_can_run_results_are_all_there_is_to_gain(device):
    known = device.models.variants.known("echo")
    device.models.variants.become("echo", *known, unusable={"echo-int8": ("its kit failed",)})
    await device.ask(request_class=BACKGROUND)

    assert device.fp32.runs[-1].requests[0].features is None
    assert (device.cache.sizes.results, device.cache.sizes.features) == (1, 0)


async def test_the_models_own_inputs_are_no_question_for_the_steps(device):
    request = request_of(deadline_s=device.time.now_s + 30.0, request_class=BACKGROUND)
    device.decided.submit("echo", None, Asked(replace(request, inputs=MADE)).call)

    assert device.fp32.runs[-1].requests[0].features is None


async def test_without_room_beside_the_results_they_are_not_even_asked_for(device):
    device.rules = CacheConfig(max_bytes=2 * OVERHEAD_BYTES)
    await device.ask(b"6", request_class=BACKGROUND)
    assert (device.cache.sizes.results, device.cache.sizes.features) == (1, 0)

    await device.ask(b"7", request_class=BACKGROUND)
    assert device.fp32.runs[-1].requests[0].features is None


async def test_those_that_there_are_too_many_of_by_new_limits_are_not_given(device):
    await device.learn()
    device.rules = CacheConfig(max_entries=1)

    assert not (await device.ask()).had_features
    assert (device.cache.sizes.results, device.cache.sizes.features) == (1, 0)


async def test_a_worker_is_told_how_much_room_there_is_beside_the_results(device):
    device.rules = CacheConfig(max_bytes=10 * OVERHEAD_BYTES)
    await device.ask(b"6", request_class=BACKGROUND)
    await device.ask(b"7", request_class=BACKGROUND)

    told = [run.requests[0].features.most_bytes for run in device.fp32.runs]
    assert told == [9 * OVERHEAD_BYTES, 8 * OVERHEAD_BYTES - len(b"6")]


async def test_a_worker_may_leave_them_out(device):
    asked, _ = device.submit(b"7", request_class=BACKGROUND)
    device.fp32.runs[-1].end([InferResult(outputs=(rows_of(b"7"),), run_s=0.1)])

    assert asked.answer == b"7"
    assert (device.cache.sizes.results, device.cache.sizes.features) == (1, 0)


async def test_a_new_version_begins_without_them(device):
    await device.learn()
    device.fp32 = await device.models.load("fp32", version="2.0.0")
    device.policies.become()

    assert (device.cache.sizes.features, device.cache.sizes.features_bytes) == (0, 0)
    assert not (await device.ask()).had_features


async def test_a_stop_forgets_them(device):
    await device.learn()
    device.serving.hold(ECHO, lambda: ModelStoppedError("stopped", hint="", reason=""))

    assert device.cache.sizes.features == 0


async def test_a_request_that_is_tried_again_is_sent_them_again(device):
    """It was in its worker together with another one, which may be to blame for the loss."""
    await device.learn()
    asked, _ = device.submit(b"7")
    device.submit(b"8")
    before = device.int8
    before.die(WorkerLostError("the worker ended"))
    await settle()
    device.int8 = device.models.starter.last
    assert device.int8 is not before
    device.int8.answer_all()
    await settle()
    device.int8.answer_all()

    assert asked.outcomes[0].had_features
    assert MADE in [run.requests[0].sent for run in device.int8.runs]


async def test_a_variant_that_takes_a_call_over_uses_them_too(device):
    """It was meant for the other one, which had more to do than fits into it."""
    await device.learn()
    device.submit(b"1")
    device.submit(b"2")
    asked, _ = device.submit(b"7")
    fp32, int8 = device.serving.variants(ECHO)
    fp32.take_over(int8)

    assert asked.call.instead == "echo-fp32"
    assert sent_to(device.fp32) == MADE


async def test_what_the_cloud_answers_in_the_end_is_not_kept_as_an_answer_of_the_device(device):
    """The request was for a variant here, whose queue was full."""
    device.endpoint.models.add("echo")
    device.policies.become(rule("out", offload="fall-back"))
    for data in (b"1", b"2", b"3", b"4"):
        device.submit(data)
    asked, taken = device.submit(b"7", request_class=BACKGROUND, has_consent=True)
    assert taken.is_offloaded
    device.endpoint.calls[0].finish(InferResult(outputs=(rows_of(b"c"),), run_s=0.1))

    assert asked.answer == b"c"
    assert device.cache.sizes.results == 0


async def test_what_comes_back_from_the_cloud_is_answered_with_what_is_known_then(device):
    await device.learn()
    device.endpoint.models.add("echo")
    device.policies.become(rule("out", offload="prefer", variants=("int8",)))
    asked, _ = device.submit(b"7", has_consent=True)
    device.endpoint.calls[0].finish(HostUnreachableError("nobody there"))
    device.answer_all()

    assert asked.outcomes[0].had_features


async def test_an_error_brings_nothing(device):
    device.submit(b"7", request_class=BACKGROUND)
    device.fp32.runs[-1].fail(BackendError("it failed"))

    assert (device.cache.sizes.results, device.cache.sizes.features) == (0, 0)


async def test_what_a_step_behind_the_model_reads_from_before_it_is_wanted_with_them(monkeypatch):
    keeps, reads = Cast(input="x", output="kept", to="FP32"), Scale(input="kept", output="read", gain=1.0)
    async with decided_device(monkeypatch, Device, pre=(MAKES_FEATURES, keeps), post=(reads,)) as device:
        device.int8 = await device.models.load("int8")
        await device.learn()
        await device.ask()

    wanted, known = (worker.runs[-1].requests[0].features for worker in (device.fp32, device.int8))
    assert [spec.name for spec in wanted.specs] == ["f", "kept"]
    assert known.borrowed == wanted.borrowed
    assert known.tensors == MADE
