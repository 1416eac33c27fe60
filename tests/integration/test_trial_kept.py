"""What a version did in its trial before the daemon ended counts after it was started again: the real daemon, killed and stopped."""

import os
import signal

import pytest

from edged.api.documents.status import ModelStatus, Status
from edged.cli.http import Client
from tests.fakes.bundles import make_bundle
from tests.fakes.live_daemons import live_daemon


@pytest.fixture
def device(tmp_path):
    with live_daemon() as device:
        for version in ("1.0.0", "1.1.0"):
            device.install(make_bundle(tmp_path, version=version, more=float(version == "1.1.0")))
        yield device


def look(device) -> ModelStatus:
    (model,) = Client(str(device.app_socket)).get("/edged/v1/status", Status).models
    return model


def active(device) -> str | None:
    model = look(device)
    return next((slot.version for slot in model.slots if slot.slot == model.active), None)


def lose_worker(device) -> None:
    """Kill the worker of the version on trial, and wait for the next one and for what that is noted by: time that was watched."""
    worker = look(device).worker
    os.kill(worker.pid, signal.SIGKILL)
    device.wait_until(lambda: look(device).worker.pid not in {worker.pid, None}, "worker in its place")


def watched_s(device) -> int:
    reason = look(device).trial.reason
    return int(reason.split()[2]) if reason.startswith("watched for") else -1


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_worker_that_was_lost_before_the_daemon_ended_still_counts(device, how):
    """One may be lost: the second one turns the version down, whatever happened to the daemon between the two."""
    device.start()
    device.roll_out("adder", "1.0.0")
    device.wait_for_model("adder")
    device.configure({"trial": {"min_s": 3600.0, "max_worker_losses": 1}})
    device.reload()
    device.roll_out("adder", "1.1.0")
    device.wait_until(lambda: active(device) == "1.1.0", "new version")
    device.wait_until(lambda: watched_s(device) >= 0, "trial that is watched")

    lose_worker(device)
    if how == "kill":
        known_s = watched_s(device)
        device.wait_until(lambda: watched_s(device) > known_s, "note of it")
        device.kill()
    else:
        assert device.stop() == 0
    device.start()
    device.wait_for_model("adder")
    device.wait_until(lambda: watched_s(device) >= 0, "trial that is watched again")
    assert active(device) == "1.1.0"

    os.kill(look(device).worker.pid, signal.SIGKILL)
    device.wait_until(lambda: active(device) == "1.0.0", "version before")
    device.wait_until(lambda: look(device).refused, "word of the one that was turned down")
    assert "2 workers were lost" in look(device).refused[0].reason
