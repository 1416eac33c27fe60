"""A rule of the administrator's policy switches variants under apps, and that is told everywhere: the real daemon, as a process."""

import re
from functools import partial

import pytest

from edged.cli.http import Client as Http
from edged.client import Client
from tests.fakes.askers import ClientAsker, Load, RawAsker, SessionAsker
from tests.fakes.bundles import adder_answer
from tests.fakes.daemons import HELLO
from tests.fakes.live_daemons import live_daemon
from tests.fakes.store_documents import StoreDocuments
from tests.fakes.switching import MORE, build_variants, id_of

SWITCHES = 30

POLICY = """\
schema = 1
name = "by-flag"
dwell_s = 0

[[rule]]
name = "small"
when = [{ "flag.small" = true }]
then = { variants = ["int8"] }
"""


class Device:
    """A device with the adder in several variants, and a fleet that says by a flag which it wants."""

    def __init__(self, live) -> None:
        self.live = live
        self.documents = StoreDocuments(live.layout)

    def flag(self, *, small: bool) -> None:
        self.documents.flags(small={"default": small})

    def ask(self):
        with Client(str(self.live.app_socket), tensor_path=None) as client:
            return client.infer("adder", {"file": HELLO})

    @property
    def states(self) -> dict[str, str]:
        with Client(str(self.live.app_socket), tensor_path=None) as client:
            (model,) = client.get("/edged/v1/status")["models"]
        return {variant["precision"]: variant["state"] for variant in model["variants"]}

    def metrics(self) -> str:
        return Http(str(self.live.app_socket)).request("GET", "/metrics").body.decode()

    def wait_until_answering(self, precision: str) -> None:
        self.live.wait_until(lambda: self.states.get(precision) == "answers", f"answer of {precision}")


@pytest.fixture
def device(tmp_path):
    with live_daemon() as live:
        policy = tmp_path / "policy.toml"
        policy.write_text(POLICY)
        live.configure({"policy": {"name": "", "file": policy}, "trial": {"min_s": 0.0}})
        live.install(build_variants(tmp_path))
        live.roll_out("adder", "1.0.0")
        live.start()
        live.wait_for_model("adder")
        yield Device(live)


def test_rule_switches_the_variant_and_status_metrics_and_journal_say_so(device):
    assert device.ask()["sum"][0][0] == adder_answer(HELLO)
    device.flag(small=True)
    device.wait_until_answering("int8")
    answer = device.ask()
    assert (answer.variant, answer["sum"][0][0]) == (id_of("int8"), adder_answer(HELLO) + MORE["int8"])
    assert device.states == {"fp32": "loaded", "fp16": "unloaded", "int8": "answers"}
    device.flag(small=False)
    device.wait_until_answering("fp32")

    assert device.ask().variant == id_of("fp32")
    text = device.metrics()
    assert 'edged_variant_switches_total{model="adder",how="warm"} 2\n' in text
    assert f'edged_variant_loaded{{model="adder",variant="{id_of("int8")}"}} 1\n' in text
    assert re.search(rf"Another variant answers.* variant={id_of('int8')} rule=small how=warm", device.live.log)


def test_no_way_of_asking_loses_a_request_over_many_switches(device):
    """Over HTTP and over connections that are lent to workers; each answer is the one of the variant that it names."""
    tells = {"tells": "variant"}
    askers = [
        partial(RawAsker, device.live.app_socket, keeps=True, **tells),
        partial(ClientAsker, device.live.app_socket, **tells),
        partial(SessionAsker, device.live.tensor_socket, **tells),
        partial(SessionAsker, device.live.tensor_socket, **tells),
    ]
    with Load(askers, {id_of(precision): more for precision, more in MORE.items()}) as load:
        load.wait_for_answers(20)
        for switch in range(SWITCHES):
            precision = ("int8", "fp32")[switch % 2]
            device.flag(small=precision == "int8")
            load.wait_for_answers(20, version=id_of(precision))

    assert not load.failures, load.failures[:5]
    assert not load.again
    assert load.answered[id_of("int8")] >= 20 * SWITCHES / 2


def test_restart_begins_with_the_variant_that_the_rule_had_brought(device):
    device.flag(small=True)
    device.wait_until_answering("int8")
    device.live.stop()
    device.live.start()
    device.live.wait_for_model("adder")

    assert device.ask().variant == id_of("int8")
    assert device.states["int8"] == "answers"
