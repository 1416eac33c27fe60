"""What operators are told about variants: what each does now, why not, and what it was seen to need."""

from types import SimpleNamespace

import msgspec
import pytest

from edged.api.documents.status import VariantStatus
from edged.bundle.manifest import Budget
from edged.daemon.variants.line import Line
from edged.daemon.variants.report import VariantReport
from edged.ids import ModelName
from edged.select.decision import Measured
from edged.telemetry.exposition import Exposition
from tests.fakes.variants import variant

ECHO = ModelName("echo")
FP32, FP16 = variant("fp32"), variant("fp16", tier="speed", precision="fp16")
INT8 = msgspec.structs.replace(
    variant("int8", tier="memory", precision="int8"),
    budget=Budget(latency_ms=10, memory_bytes=1 << 20, power_watts=3.0),
)


class Device:
    """What is known about the variants of a model, and which are loaded; it is as a test says."""

    def __init__(self) -> None:
        self.lines = {ECHO: Line(bundle=None, home="fp32", known=(FP32, FP16, INT8), misfits={})}
        self.bad: dict[str, tuple[str, ...]] = {}
        self.seen: dict[str, Measured] = {}
        self.loaded = ["fp32"]
        self.served = {ECHO: None}
        self.report = VariantReport(self, self)

    @property
    def line_of_echo(self) -> Line:
        return self.lines[ECHO]

    def line(self, model):
        return self.lines.get(model)

    def unusable(self, _model):
        return self.bad

    def measured(self, _model):
        return self.seen

    def switches(self, _model):
        return {"warm": 2}

    def variants(self, _model):
        return [SimpleNamespace(loadable=SimpleNamespace(variant=SimpleNamespace(id=id_))) for id_ in self.loaded]

    @property
    def states(self) -> dict[str, str]:
        return {item.id: item.state for item in self.report.of(ECHO)}


@pytest.fixture
def device():
    return Device()


def test_the_one_that_answers_is_told_from_those_that_could_and_those_that_are_not_loaded(device):
    device.loaded = ["int8", "fp32"]

    assert device.states == {"fp32": "loaded", "fp16": "unloaded", "int8": "answers"}


def test_what_cannot_run_says_why_even_where_it_is_loaded(device):
    device.bad = {"fp32": ("its worker cannot be started: no memory",)}
    fp32, fp16, _ = device.report.of(ECHO)

    assert (fp32.state, fp32.reasons) == ("unusable", ("its worker cannot be started: no memory",))
    assert (fp16.state, fp16.reasons) == ("unloaded", ())


@pytest.mark.parametrize("is_cold", [False, True])
def test_what_is_being_loaded_is_told_with_whether_requests_wait_for_it(device, is_cold):
    device.line_of_echo.loading, device.line_of_echo.is_cold = "int8", is_cold
    device.loaded = ["int8"] if is_cold else ["fp32"]
    fp32, _, int8 = device.report.of(ECHO)

    assert (int8.state, int8.requests_wait, fp32.requests_wait) == ("loading", is_cold, False)


def test_what_runs_were_seen_to_need_is_told_and_nothing_where_nobody_knows(device):
    device.seen = {"int8": Measured(latency_s=0.002, memory_bytes=5, joules=0.1, watts=2.5), "fp16": Measured()}
    fp32, fp16, int8 = device.report.of(ECHO)

    assert fp32 == VariantStatus(id="fp32", tier="quality", precision="fp32", state="answers")
    assert fp16 == VariantStatus(id="fp16", tier="speed", precision="fp16", state="unloaded")
    assert int8 == VariantStatus(
        id="int8", tier="memory", precision="int8", state="unloaded",
        p95_ms=2.0, memory_bytes=5, joules=0.1, watts=2.5, stated_watts=3.0,
    )  # fmt: skip


def test_of_a_model_that_does_not_answer_there_is_nothing_to_tell(device):
    assert device.report.of(ModelName("other")) == ()


def test_metrics_are_of_each_model_that_answers(device):
    text = Exposition()
    device.served = {ECHO: None, ModelName("a"): None}
    device.report.add_metrics(text)
    lines = text.encode().decode().splitlines()

    assert [line for line in lines if line.startswith("edged_variant_loaded")] == [
        'edged_variant_loaded{model="echo",variant="fp32"} 1',
        'edged_variant_loaded{model="echo",variant="fp16"} 0',
        'edged_variant_loaded{model="echo",variant="int8"} 0',
    ]
    assert [line.partition("{")[2] for line in lines if line.startswith("edged_variant_switches_total")] == [
        f'model="{model}",how="{how}"}} {count}' for model in ("a", "echo") for how, count in (("warm", 2), ("cold", 0))
    ]
