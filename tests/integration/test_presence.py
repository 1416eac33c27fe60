"""A real daemon on a device that somebody uses: neither idle to policies nor quiet to a new version, until nobody is there."""

import time

import pytest

from edged.api.documents.context import CONTEXT_PATH, ContextDocument
from edged.api.documents.status import Status
from edged.cli import edgectl
from edged.cli.http import Client
from edged.presence.report import PresenceReport, write_report
from tests.fakes.bundles import make_bundle
from tests.fakes.live_daemons import live_daemon

IDLE_S = 600.0


@pytest.fixture
def device(tmp_path):
    """A device that answers with 1.0.0, and may change to 1.1.0 once it has been idle."""
    with live_daemon() as device:
        device.configure({"sense": {"sysfs": tmp_path, "poll_s": 0.05}})
        for version in ("1.0.0", "1.1.0"):
            device.install(make_bundle(tmp_path, version=version))
        device.roll_out("adder", "1.0.0")
        device.start()
        device.wait_for_model("adder")
        yield device


def say(device, idle_s):
    """Have edged-presence say for how long nobody was seen."""
    report = PresenceReport(looked_s=time.monotonic(), idle_s=idle_s)
    write_report(device.directory / "presence.json", report)


def context(device):
    return Client(str(device.app_socket)).get(CONTEXT_PATH, ContextDocument)


def idle_s(device):
    return context(device).quantities["idle_s"].value


def model(device):
    return Client(str(device.admin_socket)).get("/edged/v1/status", Status).models[0]


def test_idle_time_is_that_of_people_too(device):
    device.wait_until(lambda: idle_s(device) >= 1.0, "idle time")
    assert "edged-presence" not in {sensor.name for sensor in context(device).sensors}

    say(device, 0.0)
    device.wait_until(lambda: idle_s(device) == 0.0, "end of idle time")
    (sensor,) = [sensor for sensor in context(device).sensors if sensor.name == "edged-presence"]
    assert (sensor.quantity, sensor.value) == ("idle", 0.0)


def test_a_new_version_waits_for_whoever_uses_the_device(device):
    """Nobody has asked the model for long enough: by requests alone, the window would be open."""
    device.wait_until(lambda: idle_s(device) >= 1.0, "idle time")
    say(device, 0.0)
    device.configure({"window": {"idle_s": 0.5}})
    device.reload()
    device.roll_out("adder", "1.1.0")
    device.wait_until(lambda: model(device).candidate is not None and model(device).candidate.waiting_for, "candidate")
    assert list(model(device).candidate.waiting_for) == ["0.5 s without a request or a person (now 0 s)"]

    say(device, IDLE_S)
    admin = ["--socket", str(device.admin_socket)]
    assert edgectl.main([*admin, "wait", "--model", "adder", "--version", "1.1.0"]) == 0
