"""How far a model follows a policy that asks for less."""

from dataclasses import replace

import msgspec
import pytest

from edged.api.ports import ModelView
from edged.config.schema import ServeConfig
from edged.daemon.decisions.decided_models import DecidedModels
from edged.daemon.decisions.decider import Decider
from edged.daemon.decisions.scaling import used_scale
from edged.daemon.serving.serving import Serving
from edged.daemon.serving.stand_in import StandIn
from edged.errors import ModelStoppedError
from edged.ids import ModelName, Version
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.spec import TensorSpec
from tests.fakes.contexts import connected_device
from tests.fakes.decisions import FakeAccuracy, FakeEndpoint, FakeHolds, FakePolicies, FakeVariants
from tests.fakes.requests import BACKGROUND, INTERACTIVE, Asked, request_of
from tests.fakes.rules import rule
from tests.fakes.served_workers import HeldTime, Starter, loadable_of

VIEW = ModelView(
    name=ModelName("echo"),
    version=Version.parse("1.0.0"),
    variant="echo-1.0.0-fp32-any",
    platform="onnxruntime_onnx",
    inputs=(TensorSpec(name="x", dtype="UINT8", shape=(-1, 1)),),
    raw_inputs=(TensorSpec(name="pixels", dtype="FP32", shape=(-1, 1)),),
    outputs=(),
    is_ready=True,
    least_scale=0.25,
)
RAW = replace(VIEW, inputs=VIEW.raw_inputs, raw_inputs=VIEW.inputs)


@pytest.mark.parametrize(
    ("asked", "view", "used"),
    [
        (0.5, VIEW, 0.5),
        (0.1, VIEW, 0.25),
        (1.0, VIEW, 1.0),
        (0.5, replace(VIEW, least_scale=1.0), 1.0),
        (0.5, RAW, 1.0),
    ],
    ids=["as asked", "not below the least", "in full", "a model of one size", "the model's own inputs"],
)
def test_a_model_follows_as_far_as_it_can(asked, view, used):
    assert used_scale(asked, request_of(b"0"), view) == used


HALF = rule("half", scale=0.5)
CUT = {"op": "pad_to@1", "input": "sound", "output": "x", "axis": 0, "length": 8, "scaling": {"least": 0.25}}
PIPELINE = {
    "inputs": [{"name": "x", "dtype": "UINT8", "shape": [-1, 1]}],
    "pre": [CUT],
    "outputs": [{"name": "x", "dtype": "UINT8", "shape": [-1, 1]}],
}


class Device:
    """An ``echo`` with a fake worker whose inputs may be made smaller, by policy."""

    def __init__(self, time: HeldTime, serving: Serving, starter: Starter) -> None:
        self.time, self.serving, self.starter = time, serving, starter
        self.policies, self.holds = FakePolicies(), FakeHolds()
        variants = FakeVariants(serving)
        variants.become("echo", serving.served[ModelName("echo")].loadable.variant)
        self.decider = Decider(
            contexts=connected_device(),
            policies=self.policies,
            variants=variants,
            accuracy=FakeAccuracy(),
            endpoint=FakeEndpoint(),
            noted=lambda *_: None,
        )
        self.decided = DecidedModels(
            serving=serving,
            variants=variants,
            decides=self.decider,
            endpoint=FakeEndpoint(),
            holds=self.holds,
            run_s=lambda: 30.0,
        )

    def ask(self, **options):
        asked = Asked(request_of(b"7", deadline_s=self.time.now_s + 30.0, **options))
        return asked, self.decided.submit("echo", None, asked.call)

    @property
    def ran_at(self) -> list[float]:
        """The scales of what the worker has now."""
        return [request.scale for run in self.starter.last.under_way for request in run.requests]


@pytest.fixture
async def device(monkeypatch):
    time, starter = HeldTime(monkeypatch), Starter()
    serving = Serving(start_worker=starter, parallel=4, poison_rest_s=600.0, limits=lambda: ServeConfig(max_queued=4))
    async with serving:
        loadable = loadable_of()
        loadable.bundle.manifest.pipeline = msgspec.convert(PIPELINE, Pipeline)
        serving.put(await serving.load(loadable))
        device = Device(time, serving, starter)
        yield device
        device.decider.close()


async def test_without_a_rule_everything_runs_in_full_and_nothing_is_said_of_it(device):
    _, taken = device.ask()

    assert (device.ran_at, taken.scale) == ([1.0], None)


async def test_a_rule_that_asks_for_less_has_less_run_and_the_caller_told(device):
    device.policies.become(HALF)
    _, taken = device.ask()

    assert (device.ran_at, taken.scale) == ([0.5], 0.5)
    assert device.decided.scale("echo", INTERACTIVE) == 0.5


async def test_less_than_the_model_can_is_the_least_it_can(device):
    device.policies.become(rule("tiny", scale=0.1))
    _, taken = device.ask()

    assert (device.ran_at, taken.scale) == ([0.25], 0.25)


async def test_connections_are_told_what_is_asked_for_whatever_the_model_can(device):
    """How far it follows is for the worker that has the connection to say, answer by answer."""
    device.policies.become(rule("tiny", scale=0.1))

    assert device.decided.scale("echo", INTERACTIVE) == 0.1


async def test_what_was_kept_runs_at_the_scale_of_the_moment_in_which_it_runs(device):
    device.policies.become(rule("later", scale=0.25, defer_s=5))
    _, taken = device.ask(request_class=BACKGROUND)
    (_, call, go_on) = device.holds.kept[0]
    device.policies.become(HALF)

    go_on(call)

    assert (device.ran_at, taken.scale) == ([0.5], 0.5)


async def test_a_model_that_is_held_is_not_scaled_by_anybody(device):
    device.policies.become(HALF)
    device.serving.hold(ModelName("echo"), lambda: ModelStoppedError("stopped", hint="", reason=""))

    assert device.decided.scale("echo", INTERACTIVE) == 1.0


async def test_what_stands_in_for_a_model_is_not_scaled(device):
    class Answers:
        def submit(self, call):
            self.scale = call.request.scale

    answers, view = Answers(), replace(device.serving.view("echo", None), fallback="constant")
    device.policies.become(HALF)
    device.serving.stand_in(
        ModelName("echo"), StandIn(use="constant", words="a constant", answers=answers, view=lambda: view)
    )
    _, taken = device.ask()

    assert (answers.scale, taken.scale) == (1.0, None)
