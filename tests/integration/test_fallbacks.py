"""What answers when a model cannot, with the real daemon as a process and real workers."""

import os
import signal
import time

import pytest

from edged.cli.http import Client as Http
from edged.errors import ModelStoppedError
from tests.fakes.bundles import adder_answer
from tests.fakes.daemons import HELLO
from tests.fakes.stoppable import CONSTANT, PREVIOUS, SMALL_VARIANT, SMALLER, stoppable

LARGE = b"\x01" * (1 << 17)
"""Asked for through shared memory, by clients that can."""


@pytest.fixture
def fleet(tmp_path):
    with stoppable(tmp_path) as fleet:
        yield fleet


def wait_for(fleet, words):
    fleet.wait_until(lambda: fleet.model.get("fallback") == words, words)


def variants_of(fleet):
    return {variant["id"]: variant for variant in fleet.model["variants"]}


def test_constant_answers_while_the_model_is_stopped(fleet):
    fleet.device.start()
    fleet.activate("1.0.0", extra=CONSTANT)
    fleet.documents.stop("adder", action="fall-back")
    wait_for(fleet, "the constant of 1.0.0")
    answer = fleet.ask()

    assert (answer["sum"][0][0], answer.parameters["fallback"], answer.version) == (-1.0, "constant", "1.0.0")
    body = b'{"inputs": [{"name": "file", "shape": [1], "datatype": "BYTES", "data": ["x"]}]}'
    reply = Http(str(fleet.device.app_socket)).request("POST", "/v2/models/adder/infer", body=body)
    assert reply.headers["edged-fallback"] == "constant"
    with fleet.client(shares_memory=True) as client:
        assert client.infer("adder", {"file": LARGE})["sum"][0][0] == -1.0
    assert fleet.model["state"] == "fallback"
    assert fleet.get("/v2/models/adder/ready")["ready"]
    assert (fleet.metric("edged_model_stopped"), fleet.metric("edged_model_fallback")) == (1, 1)
    assert fleet.metric("edged_fallback_requests_total") == 3

    fleet.documents.stop()
    fleet.wait_until(lambda: fleet.model["state"] == "serving", "answer")
    answer = fleet.ask()
    assert (answer["sum"][0][0], "fallback" in answer.parameters) == (adder_answer(HELLO), False)
    fleet.wait_until(lambda: "answers-again" in fleet.history, "history")
    assert [what for what in fleet.history if what in {"fell-back", "answers-again"}] == ["fell-back", "answers-again"]


def test_stop_that_says_refuse_goes_before_the_rules_of_the_manifest(fleet):
    fleet.device.start()
    fleet.activate("1.0.0", extra=CONSTANT)
    fleet.documents.stop("adder", action="fall-back")
    wait_for(fleet, "the constant of 1.0.0")
    fleet.documents.stop("adder", action="refuse")
    fleet.wait_until(lambda: fleet.model["state"] == "stopped", "stop")

    with pytest.raises(ModelStoppedError):
        fleet.ask()


def test_previous_version_answers_unless_it_is_stopped_too_and_then_the_next_rule_counts(fleet):
    fleet.device.start()
    fleet.activate("1.0.0")
    fleet.activate("1.1.0", extra=PREVIOUS + CONSTANT)
    fleet.documents.stop("adder", action="fall-back", versions=("1.1.0",))
    wait_for(fleet, "version 1.0.0")
    answer = fleet.ask()

    assert (answer.version, answer["sum"][0][0]) == ("1.0.0", adder_answer(HELLO))
    assert answer.parameters["fallback"] == "previous-version"
    with fleet.client(shares_memory=True) as client:
        assert client.infer("adder", {"file": LARGE}).version == "1.0.0"
    with pytest.raises(ModelStoppedError):
        fleet.ask(version="1.1.0")

    fleet.documents.stop("adder", action="fall-back")
    wait_for(fleet, "the constant of 1.1.0")
    assert fleet.ask()["sum"][0][0] == -1.0


def test_previous_version_below_the_floor_does_not_answer(fleet):
    fleet.device.start()
    fleet.activate("1.0.0")
    fleet.documents.standing(seen_unix_s=0.0, adder="1.1.0")
    fleet.activate("1.1.0", extra=PREVIOUS)
    fleet.documents.stop("adder", action="fall-back", versions=("1.1.0",))
    fleet.wait_until(lambda: fleet.model["state"] == "stopped", "stop")

    with pytest.raises(ModelStoppedError):
        fleet.ask()


def test_another_variant_answers_before_any_rule_when_the_worker_of_one_cannot_be_started(fleet):
    fleet.device.start()
    bundle = fleet.install("1.0.0", extra=SMALL_VARIANT + CONSTANT)
    fleet.documents.roll_out(adder="1.0.0")
    fleet.wait_until(lambda: fleet.state_of("1.0.0") == "good", "good version")
    installed = fleet.device.layout.bundles / "adder/1.0.0"
    (model,) = installed.glob("models/*fp32*")
    whole = model.read_bytes()
    model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    os.kill(fleet.model["worker"]["pid"], signal.SIGKILL)
    fleet.wait_until(lambda: variants_of(fleet)["adder-1.0.0-int8-any"]["state"] == "answers", "other variant")
    answer = fleet.ask()

    assert (answer.variant, "fallback" in answer.parameters) == ("adder-1.0.0-int8-any", False)
    assert answer["sum"][0][0] == adder_answer(HELLO)
    assert fleet.model["state"] == "serving"
    assert "worker cannot be started" in variants_of(fleet)["adder-1.0.0-fp32-any"]["reasons"][0]
    assert "fell-back" not in fleet.history
    model.write_bytes((bundle / model.relative_to(installed)).read_bytes())
    fleet.wait_until(lambda: variants_of(fleet)["adder-1.0.0-fp32-any"]["state"] == "answers", "first variant")
    assert fleet.ask().variant == "adder-1.0.0-fp32-any"


def test_smaller_variant_answers_while_no_news_of_the_publisher_comes(fleet):
    """A lease that has run out is no reason to distrust a variant that the manifest names for that."""
    fleet.device.start()
    fleet.activate("1.0.0", extra=SMALL_VARIANT + SMALLER)
    fleet.documents.standing(seen_unix_s=time.time() - 7200)
    fleet.documents.stop(leases={"adder": {"hours": 1, "action": "fall-back"}})
    fleet.device.stop()
    fleet.device.start()
    wait_for(fleet, "variant adder-1.0.0-int8-any")
    answer = fleet.ask()

    assert (answer.variant, answer.parameters["fallback"]) == ("adder-1.0.0-int8-any", "smaller-variant")


def test_stopped_version_has_no_smaller_variant(fleet):
    """It is the version that is stopped, whichever variant of it."""
    fleet.device.start()
    fleet.activate("1.0.0", extra=SMALL_VARIANT + SMALLER)
    fleet.documents.stop("adder", action="fall-back")
    fleet.wait_until(lambda: fleet.model["state"] == "stopped", "stop")

    with pytest.raises(ModelStoppedError):
        fleet.ask()


def test_fallback_is_back_after_a_restart(fleet):
    fleet.device.start()
    fleet.activate("1.0.0")
    fleet.activate("1.1.0", extra=PREVIOUS)
    fleet.documents.stop("adder", action="fall-back", versions=("1.1.0",))
    wait_for(fleet, "version 1.0.0")
    fleet.device.stop()
    fleet.device.start()
    wait_for(fleet, "version 1.0.0")

    assert fleet.ask().version == "1.0.0"
