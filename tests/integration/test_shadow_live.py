"""A shadow run in the real daemon: asked over HTTP, killed in the middle, and let through by a reload."""

from collections.abc import Callable

import pytest

from edged.api.documents.status import ModelStatus, Status
from edged.cli import http
from edged.client import Client
from tests.fakes.bundles import make_bundle
from tests.fakes.live_daemons import live_daemon

SHADOW = {"share": 1.0, "min_s": 0.0, "min_requests": 1000}
SMALL, LARGE = b"Hello, edge", b"x" * (1 << 20)


@pytest.fixture
def device(tmp_path):
    with live_daemon() as device:
        for version in ("1.0.0", "1.1.0"):
            device.install(make_bundle(tmp_path, version=version))
        yield device


def look(device) -> ModelStatus:
    (model,) = http.Client(str(device.app_socket)).get("/edged/v1/status", Status).models
    return model


def agreed(device) -> int:
    """Answers of the candidate that agreed; -1 while it is not in the shadow."""
    candidate = look(device).candidate
    return -1 if candidate is None or candidate.shadow is None else candidate.shadow.agreed


def ask_until(device, is_so: Callable[[], bool], what: str) -> None:
    with Client(str(device.app_socket), tensor_path=None) as client:

        def ask_and_look() -> bool:
            for data in (SMALL, LARGE):
                client.infer("adder", {"file": data})
            return is_so()

        device.wait_until(ask_and_look, what)


def test_shadow_run_survives_the_end_of_the_daemon_and_is_let_through_by_a_reload(device):
    device.configure({"shadow": SHADOW})
    device.start()
    device.roll_out("adder", "1.0.0")
    device.wait_for_model("adder")
    device.roll_out("adder", "1.1.0")
    device.wait_until(lambda: agreed(device) == 0, "shadow run")
    ask_until(device, lambda: agreed(device) >= 4, "answers that agree")

    device.kill()
    device.start()
    device.wait_until(lambda: agreed(device) >= 0, "shadow run after the restart")
    ask_until(device, lambda: agreed(device) >= 4, "answers that agree after the restart")
    assert look(device).active == "a"

    device.configure({"shadow": SHADOW | {"min_requests": 4}})
    device.reload()
    ask_until(device, lambda: look(device).active == "b", "activation")
    assert look(device).refused == ()
