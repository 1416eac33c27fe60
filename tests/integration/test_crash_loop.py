"""The real daemon, killed again and again while a version is on trial."""

import pytest

from edged.activation.trial import TrialRules
from edged.client import Client
from tests.fakes.bundles import make_bundle
from tests.fakes.live_daemons import live_daemon


@pytest.fixture
def device(tmp_path):
    with live_daemon() as device:
        for version in ("1.0.0", "1.1.0"):
            device.install(make_bundle(tmp_path, version=version, more=float(version == "1.1.0")))
        yield device


def active(device) -> str:
    with Client(str(device.app_socket), tensor_path=None) as client:
        return {model["name"]: model["version"] for model in client.models()}.get("adder", "")


def test_daemon_that_is_killed_again_and_again_goes_back_to_the_version_before(device):
    """Whatever ends the daemon so often may be the model: it must not be what answers for ever."""
    device.start()
    device.roll_out("adder", "1.0.0")
    device.wait_for_model("adder")
    device.configure({"trial": {"min_s": 3600.0}})
    device.reload()
    device.roll_out("adder", "1.1.0")
    device.wait_until(lambda: active(device) == "1.1.0", "new version")

    answered = []
    for _ in range(TrialRules().max_daemon_starts + 1):
        device.kill()
        device.start()
        device.wait_for_model("adder")
        answered.append(active(device))

    assert answered == ["1.1.0"] * TrialRules().max_daemon_starts + ["1.0.0"]


def test_daemon_that_is_told_to_stop_goes_on_with_the_trial(device):
    device.configure({"trial": {"min_s": 3600.0, "max_daemon_starts": 1}})
    device.start()
    device.roll_out("adder", "1.0.0")
    device.wait_for_model("adder")
    for _ in range(3):
        assert device.stop() == 0
        device.start()

    device.wait_for_model("adder")
    assert active(device) == "1.0.0"
