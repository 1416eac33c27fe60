"""A new version on a real daemon: it waits for the quiet window in plain sight, goes on when somebody says so, and is taken back."""

import json
import time

import pytest

from edged.api.documents.status import Status
from edged.cli import edgectl
from edged.cli.http import Client
from tests.fakes.bundles import make_bundle
from tests.fakes.live_daemons import LiveDaemon, live_daemon


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bundles")
    return [make_bundle(directory, version=version, more=more) for version, more in (("1.0.0", 0.0), ("1.1.0", 1000.0))]


@pytest.fixture
def device(bundles):
    """A device that answers with 1.0.0, has 1.1.0, and may change to it only in hours that are not now."""
    with live_daemon() as device:
        device.configure({"window": {"hours": [other_hours()]}, "trial": {"min_s": 0}})
        for bundle in bundles:
            device.install(bundle)
        device.roll_out("adder", "1.0.0")
        device.start()
        assert edge(device, "wait", "--model", "adder", "--for", "good") == 0
        device.roll_out("adder", "1.1.0")
        device.wait_until(lambda: waits_for(device), "candidate that waits")
        yield device


def other_hours() -> str:
    """Return two hours of the day that begin two hours from now."""
    hour = time.localtime().tm_hour
    return f"{(hour + 2) % 24:02}:00-{(hour + 4) % 24:02}:00"


def waits_for(device: LiveDaemon) -> list[str]:
    """Return what the model's candidate waits for."""
    status = Client(str(device.admin_socket)).get("/edged/v1/status", Status)
    candidate = status.models[0].candidate
    return [] if candidate is None else list(candidate.waiting_for)


def edge(device: LiveDaemon, *args: str) -> int:
    """Run edgectl as an administrator."""
    return edgectl.main(["--socket", str(device.admin_socket), *args])


def test_a_version_that_waits_is_let_go_on_and_taken_back(device, capsys):
    device.wait_until(lambda: "now" in waits_for(device)[0], "reason with the time of day")
    assert edge(device, "update", "status") == 0
    assert "Waits for  the hours" in capsys.readouterr().out

    assert edge(device, "update", "apply", "adder@1.1.0") == 0
    assert edge(device, "wait", "--model", "adder", "--version", "1.1.0") == 0
    assert edge(device, "update", "rollback", "adder", "--reason", "wrong at night") == 0
    assert edge(device, "wait", "--model", "adder", "--version", "1.0.0") == 0

    assert edge(device, "status") == 6
    assert edge(device, "update", "history", "adder") == 0
    said = capsys.readouterr().out
    assert "window opened" in said
    assert "wrong at night" in said
    assert edge(device, "update", "apply", "adder@9.9.9") == 5
    assert edge(device, "update", "rollback", "adder") == 7


def test_settings_that_are_reloaded_open_the_window(device):
    device.configure({"window": {"hours": []}})
    device.reload()

    assert edge(device, "wait", "--model", "adder", "--version", "1.1.0") == 0


def test_a_wait_goes_on_after_a_restart(device):
    assert device.stop() == 0
    noted = json.loads((device.directory / "waits.json").read_text())["models"]["adder"]
    assert noted["version"] == "1.1.0"
    assert noted["counted_s"] > 0
    device.start()
    device.wait_until(lambda: waits_for(device), "candidate that waits again")
    assert device.stop() == 0

    again = json.loads((device.directory / "waits.json").read_text())["models"]["adder"]
    assert again["counted_s"] > noted["counted_s"]


def test_what_an_operator_said_is_not_forgotten_by_a_restart(device):
    """Said for a version whose activation the daemon did not live to see."""
    device.kill()
    notes = {"schema": 1, "models": {"adder": {"version": "1.1.0", "is_opened": True}}}
    (device.directory / "waits.json").write_text(json.dumps(notes))
    device.start()

    assert edge(device, "wait", "--model", "adder", "--version", "1.1.0") == 0
