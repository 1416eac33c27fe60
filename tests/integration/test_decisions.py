"""A device gets hot and cools down again while it is asked all the time: policy, variants and workers together, with real models."""

import asyncio
import struct
from contextlib import asynccontextmanager

import pytest

from edged.daemon.decisions.decided_models import DecidedModels
from edged.daemon.decisions.decider import Decider
from edged.daemon.serving.asking import ask
from edged.errors import DeferredError
from edged.runtime.calls import Request
from edged.sense.context import Level
from tests.fakes.bundles import adder_answer
from tests.fakes.contexts import connected_device
from tests.fakes.daemons import HELLO, Disk, file_of, until
from tests.fakes.decisions import FakeAccuracy, FakeEndpoint, FakeHolds, FakePolicies
from tests.fakes.rules import rule
from tests.fakes.switching import MORE, id_of, stage_variants, switching_device


def at_least(level):
    return lambda context, _: context.thermal.value is not None and context.thermal.value >= level


RULES = (
    rule("too-hot", when=at_least(Level.CRITICAL), dwell_s=0.0, defer_s=5),
    rule("hot", when=at_least(Level.SERIOUS), dwell_s=0.0, variants=("int8",), scale=0.5),
    rule("cool", dwell_s=0.0, variants=("fp32", "*")),
)

DEFERRED = ("too-hot", "again in 5 s")


class Device:
    """A device with real workers whose context a test makes up, asked as fast as it goes."""

    def __init__(self, switching) -> None:
        self.switching = switching
        self.contexts = connected_device()
        self.decider = Decider(
            contexts=self.contexts,
            policies=FakePolicies(*RULES),
            variants=switching.variants,
            accuracy=FakeAccuracy(),
            endpoint=FakeEndpoint(),
            noted=lambda *_: None,
        )
        self.models = DecidedModels(
            serving=switching.serving,
            variants=switching.variants,
            decides=self.decider,
            endpoint=FakeEndpoint(),
            holds=FakeHolds(),
            run_s=lambda: 30.0,
        )
        self.answers: list[tuple[str, str]] = []
        """Of each request: the rule, and the precision of what answered or when to come again."""

    async def become(self, level: Level, *, answered_by: tuple[str, str]) -> None:
        """Change the temperature, and wait until requests are dealt with accordingly and in no other way."""
        self.contexts.become(thermal=level)
        enough = len(self.answers) + 20
        await until(lambda: len(self.answers) >= enough and set(self.answers[-20:]) == {answered_by})

    async def ask(self) -> None:
        taken = []
        request = Request(inputs=[file_of(HELLO)], deadline_s=asyncio.get_running_loop().time() + 20.0, uid=1000)
        try:
            result = await ask(lambda call: taken.append(self.models.submit("adder", None, call)), request)
        except DeferredError as exc:
            self.answers.append((exc.facts["rule"], f"again in {exc.retry_after_s} s"))
            await asyncio.sleep(0)
            return
        precision = taken[0].model.variant.split("-")[-2]
        more = struct.unpack("<f", bytes(result.outputs[0].data))[0] - adder_answer(HELLO)
        assert more == MORE[precision], "an answer is by what is said to have answered"
        self.answers.append((taken[0].decision.rule, precision))


@asynccontextmanager
async def asked_all_the_time(device):
    is_over = asyncio.Event()

    async def keep_asking():
        while not is_over.is_set():
            await device.ask()

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(keep_asking())
        yield
        is_over.set()


@pytest.fixture
async def device(tmp_path):
    disk = Disk(tmp_path)
    stage_variants(disk)
    async with switching_device(disk) as switching:
        device = Device(switching)
        yield device
        device.decider.close()


async def test_a_hot_device_answers_with_less_then_not_at_all_and_comes_back(device):
    async with asked_all_the_time(device):
        await device.become(Level.NOMINAL, answered_by=("cool", "fp32"))
        await device.become(Level.SERIOUS, answered_by=("hot", "int8"))
        await device.become(Level.CRITICAL, answered_by=DEFERRED)
        await device.become(Level.SERIOUS, answered_by=("hot", "int8"))
        await device.become(Level.NOMINAL, answered_by=("cool", "fp32"))

    # What was loaded went on until the other was; nothing else ever answered.
    assert set(device.answers) <= {("cool", "fp32"), ("hot", "fp32"), ("hot", "int8"), DEFERRED}
    stats = device.switching.serving.stats("adder")
    assert set(stats.requests) == {"ok"}, "no request was lost by a switch"
    assert set(stats.rejections) == {"deferred"}


async def test_a_variant_that_is_loaded_answers_the_very_next_request(device):
    device.contexts.become(thermal=Level.SERIOUS)
    await device.switching.until_loaded("fp32", "int8")
    device.contexts.become(thermal=Level.NOMINAL)
    await device.ask()
    device.contexts.become(thermal=Level.SERIOUS)
    await device.ask()

    assert device.answers == [("cool", "fp32"), ("hot", "int8")]
    assert device.decider.decisions[0][1].variant == id_of("int8")
