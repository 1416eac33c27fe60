"""The stop switch on a device that runs: the real daemon as a process, with documents in its store as the updater puts them there."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edged.cli.http import Client as Http
from edged.errors import EdgedError, ModelStoppedError
from tests.fakes.bundles import adder_answer
from tests.fakes.daemons import HELLO
from tests.fakes.plain_bundles import make_loop_bundle
from tests.fakes.stoppable import stoppable
from tests.fakes.store_documents import ISSUED, REASON

LONG = 1 << 40


@pytest.fixture
def fleet(tmp_path):
    with stoppable(tmp_path) as fleet:
        yield fleet


def wait_for_stop(fleet):
    fleet.wait_until(lambda: fleet.model["state"] == "stopped", "stop")


def test_stopped_model_refuses_says_why_and_answers_at_once_when_it_is_lifted(fleet):
    fleet.device.start()
    fleet.activate("1.0.0")
    worker = fleet.model["worker"]["pid"]
    fleet.documents.stop("adder")
    wait_for_stop(fleet)

    with pytest.raises(ModelStoppedError, match=REASON) as caught:
        fleet.ask()
    assert caught.value.retry_after_s == 7  # the poll interval: no news come earlier
    for path in ("/v2/models/adder/ready", "/v2/health/ready"):
        with pytest.raises(EdgedError, match="503"):
            fleet.get(path)
    assert fleet.get("/v2/models/adder")["name"] == "adder"
    index = Http(str(fleet.device.app_socket)).request("POST", "/v2/repository/index").body
    assert b"UNAVAILABLE" in index
    assert REASON.encode() in index
    assert fleet.model["stop"] == {"reason": REASON, "since": ISSUED, "action": "refuse", "source": "stop"}
    assert fleet.get("/edged/v1/status")["state"] == "degraded"
    assert (fleet.metric("edged_model_stopped"), fleet.metric("edged_model_ready")) == (1, 0)

    fleet.documents.stop()
    fleet.wait_until(lambda: fleet.model["state"] == "serving", "answer")
    assert fleet.ask()["sum"][0][0] == adder_answer(HELLO)
    assert fleet.model["worker"]["pid"] == worker
    assert fleet.metric("edged_model_stopped") == 0
    fleet.wait_until(lambda: fleet.history[-1] == "stop-lifted", "end of the history")
    assert [what for what in fleet.history if "stop" in what] == ["stopped", "stop-lifted"]
    assert "Model stopped by its publisher" in fleet.device.log


@pytest.mark.parametrize("shares_memory", [False, True], ids=["HTTP", "tensor socket"])
def test_request_under_way_ends_with_the_stop(fleet, tmp_path, shares_memory):
    """It would have run for hours."""
    fleet.device.install(make_loop_bundle(tmp_path / "built"))
    fleet.device.start()
    fleet.documents.roll_out(loop="1.0.0")
    fleet.device.wait_for_model("loop")
    inputs = {"x": np.ones(1, np.float32), "times": np.array([LONG])}

    def ask():
        with fleet.client(shares_memory=shares_memory) as client:
            if not shares_memory:
                return client.infer("loop", inputs, timeout_s=25)
            with client.open("loop", memory_bytes=1 << 16) as session:
                return session.infer(inputs, timeout_s=25)

    def running():
        (model,) = fleet.get("/edged/v1/status")["models"]
        return model["worker"]["running"] > 0

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        fleet.wait_until(running, "run")
        fleet.documents.stop("loop")
        with pytest.raises(ModelStoppedError, match=REASON):
            asked.result()
        with pytest.raises(ModelStoppedError, match=REASON):
            ask()
    fleet.wait_until(lambda: not running(), "end of the run")
    fleet.documents.stop()
    fleet.wait_until(lambda: fleet.get("/edged/v1/models")["models"][0]["ready"], "answer")
    inputs["times"] = np.array([2])
    assert ask()["y"] == 1


def test_stop_holds_after_a_restart_without_a_store_and_nothing_is_answered_before_it_does(fleet):
    """Callers wait in the backlog of the socket while the daemon starts."""
    fleet.device.start()
    fleet.activate("1.0.0")
    serial = fleet.documents.stop("adder")
    wait_for_stop(fleet)
    fleet.wait_until(lambda: "stopped" in fleet.history, "history")
    assert fleet.device.stop() == 0
    shutil.rmtree(fleet.device.layout.ops)

    outcomes = []

    def ask():
        with fleet.client() as client, pytest.raises(ModelStoppedError) as caught:
            client.infer("adder", {"file": HELLO})
        outcomes.append(caught.value)

    callers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    fleet.device.start()
    for caller in callers:
        caller.join()
    assert len(outcomes) == 4
    assert fleet.history.count("stopped") == 1

    fleet.documents.stop(serial=serial)
    fleet.documents.flags(seen={"default": True})
    fleet.wait_until(lambda: fleet.get("/edged/v1/flags")["flags"] == {"seen": True}, "later document")
    with pytest.raises(ModelStoppedError):
        fleet.ask()
    fleet.documents.stop(serial=serial + 1)
    fleet.wait_until(lambda: fleet.model["state"] == "serving", "answer")


def test_damaged_document_leaves_the_stop_in_force(fleet):
    fleet.device.start()
    fleet.activate("1.0.0")
    fleet.documents.stop("adder")
    wait_for_stop(fleet)
    fleet.documents.write(fleet.device.layout.stop, b"\0" * 100)
    fleet.wait_until(lambda: "document-refused" in fleet.history, "complaint")

    with pytest.raises(ModelStoppedError):
        fleet.ask()


def test_stop_of_one_version_ends_when_another_takes_over(fleet):
    fleet.device.start()
    fleet.activate("1.0.0")
    fleet.documents.stop("adder", versions=("1.0.0",))
    wait_for_stop(fleet)
    fleet.activate("1.1.0")

    assert fleet.ask().version == "1.1.0"


def test_lease_that_ran_out_while_the_device_was_off_is_renewed_by_news(fleet):
    fleet.device.start()
    fleet.activate("1.0.0")
    fleet.documents.standing(seen_unix_s=time.time() - 7200)
    fleet.documents.stop(leases={"adder": {"hours": 1, "action": "refuse"}})
    # It changed while the daemon ran, so it is news to it, whatever the wall clock says.
    assert fleet.model["state"] == "serving"
    fleet.device.stop()
    fleet.device.start()
    wait_for_stop(fleet)

    assert fleet.model["stop"]["source"] == "lease"
    with pytest.raises(ModelStoppedError, match="lease of 1 h"):
        fleet.ask()
    fleet.documents.standing(seen_unix_s=time.time())
    fleet.wait_until(lambda: fleet.model["state"] == "serving", "answer")
    fleet.wait_until(lambda: fleet.history[-1] == "lease-renewed", "end of the history")
