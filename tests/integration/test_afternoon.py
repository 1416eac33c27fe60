"""The scripted afternoon of ``hil/afternoon`` on a made-up device, with the real code from sysfs to the decision.

``hil/test_the_afternoon.py`` has the kernel's own drivers tell the same story, which has to give the same decisions.
"""

import tomllib
from pathlib import Path

import pytest

from edged.api.documents.decisions import line_of
from edged.codec import encode_canonical
from edged.daemon.decisions.decider import Decider
from edged.daemon.decisions.decision_log import DecisionLog
from edged.daemon.senses.network import read_network
from edged.daemon.senses.own import Own
from edged.daemon.senses.senses import Senses
from edged.daemon.senses.sight import Sight
from edged.egress.link import LinkReport
from edged.policy.ask import Ask
from edged.policy.compile import compile_policy
from edged.policy.given import situation_of
from edged.policy.parse import parse_policy
from edged.policy.quantities import QUANTITIES
from edged.runtime.calls import RequestClass
from edged.select.check import made_up_variants, run_tests
from edged.sense.context import Link
from edged.sense.sysfs import Sensors
from tests.fakes.clocks import ManualClock
from tests.fakes.decisions import FakeAccuracy, FakeEndpoint, FakePolicies, FakeVariants

AFTERNOON = Path(__file__).parents[2] / "hil/afternoon"
STEPS = tomllib.loads((AFTERNOON / "scenario.toml").read_text())["step"]
GOLDEN = (AFTERNOON / "decisions.log").read_text()
POLL_S = 5.0
PATIENCE_S = 300.0


class MadeUpDevice:
    """The files that the kernel would show of the virtual board's two chips, and the report that the gate would write."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.link = root / "link.json"
        self._write("sys/class/hwmon/hwmon0", name="lm75", temp1_max="80000", temp1_max_hyst="75000")
        self._write("sys/class/power_supply/sbs-1-000b", type="Battery", present="1", scope="System")

    def take(self, step) -> None:
        if "heat" in step:
            self._write("sys/class/hwmon/hwmon0", temp1_input=str(step["heat"] * 1000))
        if "battery" in step:
            percent, status = step["battery"]
            self._write("sys/class/power_supply/sbs-1-000b", capacity=str(percent), status=status.capitalize())
        if "network" in step:
            link = Link.ETHERNET if step["network"] else Link.OFFLINE
            self.link.write_bytes(encode_canonical(LinkReport(link=link, since_unix_s=0.0)))

    def sensors(self) -> Sensors:
        return Sensors(self._root / "sys", self._root / "proc")

    def _write(self, directory: str, **files: str) -> None:
        (self._root / directory).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (self._root / directory / name).write_text(f"{text}\n")


@pytest.fixture
def policy():
    return parse_policy((AFTERNOON / "policy.toml").read_bytes(), source="policy.toml")


async def test_afternoon_gives_the_golden_decisions(tmp_path, policy):
    """Heating, unplugging, draining, cooling, plugging in, the network gone and back."""
    device, clock = MadeUpDevice(tmp_path), ManualClock()
    device.take(STEPS[0])
    senses = Senses(
        sight=Sight(device.sensors(), clock, patience_s=PATIENCE_S),
        own=Own(
            clock=clock,
            idle_s=lambda: 0.0,
            trusted_unix_s=lambda: 0.0,
            network=lambda: read_network(device.link),
            flags=dict,
            regulatory=lambda: "standard",
            labels={},
        ),
        clock=clock,
        poll_s=lambda: POLL_S,
    )
    variants = FakeVariants()
    variants.become("gauge", *made_up_variants(("fp32", "fp16", "int8")))
    changes = []
    precisions = {variant.id: variant.precision for variant in variants.known("gauge")}
    log = DecisionLog(
        clock,
        precision=lambda _, variant: precisions[variant],
        publish=changes.append,
        later=lambda *_: pytest.fail("kept back"),
    )
    await senses.refresh()
    decider = Decider(
        contexts=senses,
        policies=FakePolicies(*compile_policy(policy, "local")),
        variants=variants,
        accuracy=FakeAccuracy(),
        endpoint=FakeEndpoint(),
        noted=log.note,
    )
    told = []
    for step in STEPS:
        device.take(step)
        began_s = clock.monotonic_s()
        while not has_noticed(senses.current, step["until"]):
            assert clock.monotonic_s() - began_s < PATIENCE_S, f"{step['name']}: {senses.current}"
            clock.advance(POLL_S)
            await senses.refresh()
        told.append(f"{step['name']}\n")
        for request in RequestClass:
            decider.decide(Ask(model="gauge", request_class=request))
        told += [f"  {line_of(change.decision)}\n" for change in changes]
        changes.clear()
    decider.close()

    assert "".join(told) == GOLDEN


def has_noticed(context, until) -> bool:
    """Tell whether a context says what is waited for."""
    wanted = situation_of(until)
    return all(
        QUANTITIES[name].read(context, wanted.ask) == QUANTITIES[name].read(wanted.context, wanted.ask)
        for name in until
    )


def test_tests_of_the_afternoons_policy_pass(policy):
    assert [case.test.name for case in run_tests(policy) if case.failures] == []


def test_every_rule_of_the_policy_decides_at_some_time(policy):
    assert [rule.name for rule in policy.rules if f"by {rule.name}\n" not in GOLDEN] == []
