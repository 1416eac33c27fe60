"""Background requests over the real socket: kept while an operator defers the model, and answered once that is over."""

import socket
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from edged.api.documents.status import Status
from edged.cli import edgectl
from edged.client import Client
from edged.errors import DaemonUnreachableError, DeadlineError, DeferredError, UnavailableError
from tests.fakes.bundles import adder_answer, make_bundle
from tests.fakes.daemons import HELLO
from tests.fakes.live_daemons import live_daemon

HOUR_S = 3600.0
BACKGROUND = {"max_kept_per_caller": 3}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def device(bundle):
    """A device whose model an operator has deferred."""
    with live_daemon() as device:
        device.install(bundle)
        device.configure({"background": BACKGROUND})
        device.start()
        device.roll_out("adder", "1.0.0")
        device.wait_for_model("adder")
        assert edge(device, "--defer", "7s", "--for", "1h", "--reason", "busy") == 0
        yield device


@pytest.fixture
def callers():
    with ThreadPoolExecutor(8) as threads:
        yield threads


def edge(device, *args):
    return edgectl.main(["--socket", str(device.admin_socket), "policy", "override", "adder", *args])


def ask(device, *, timeout_s=HOUR_S, is_background=True):
    with Client(str(device.app_socket), tensor_path=None) as client:
        return client.infer("adder", {"file": HELLO}, timeout_s=timeout_s, is_background=is_background)


def background_of(device):
    with Client(str(device.app_socket), tensor_path=None) as client:
        (model,) = msgspec.convert(client.get("/edged/v1/status"), Status).models
    return model.background


def wait_until_kept(device, count):
    device.wait_until(
        lambda: (status := background_of(device)) is not None and status.kept == count, f"{count} requests kept"
    )


def ask_and_wait_until_kept(device, callers, count):
    asked = [callers.submit(ask, device) for _ in range(count)]
    wait_until_kept(device, count)
    return asked


def test_work_is_answered_when_the_rule_that_deferred_it_is_gone(device, callers):
    asked = ask_and_wait_until_kept(device, callers, 3)
    with pytest.raises(DeferredError) as caught:
        ask(device, is_background=False)
    assert caught.value.retry_after_s == 7
    with pytest.raises(UnavailableError, match="too much is kept"):
        ask(device)

    assert edge(device, "--clear") == 0
    assert [one.result()["sum"].item() for one in asked] == [adder_answer(HELLO)] * 3
    status = background_of(device)
    assert (status.kept, status.under_way, status.ended) == (0, 0, {"finished": 3, "refused": 1})


def test_work_without_a_wish_of_its_own_has_the_time_of_any_request(device):
    device.configure({"serve": {"request_timeout_s": 2.0}, "background": BACKGROUND})
    device.reload()

    with pytest.raises(DeadlineError, match="while it was kept"):
        ask(device, timeout_s=None)


def test_who_leaves_is_not_kept(device, callers):
    with Client(str(device.app_socket), tensor_path=None) as client:
        asked = callers.submit(client.infer, "adder", {"file": HELLO}, timeout_s=HOUR_S, is_background=True)
        wait_until_kept(device, 1)
        client._socket.shutdown(socket.SHUT_RDWR)
        with pytest.raises(DaemonUnreachableError):
            asked.result()

    wait_until_kept(device, 0)


def test_a_stop_of_the_daemon_does_not_wait_for_what_is_kept(device, callers):
    (asked,) = ask_and_wait_until_kept(device, callers, 1)
    assert device.stop() == 0

    with pytest.raises(UnavailableError, match="being stopped"):
        asked.result()
    assert "still under way" not in device.log
