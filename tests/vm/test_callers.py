"""Limits of systemd units on a device: they apply where the daemon may look, and it says so where it may not."""

import json
from pathlib import Path

import pytest

from edged.journal import UNITS_HIDDEN
from tests.vm.asking import infer

RULE = """
[[limits.callers]]
unit = "camera.service"
limits = { rate_per_s = 0.001, burst = 1 }
"""
SETTINGS = "/etc/edged/edged.toml.d/60-units.toml"
DROP_IN = "/run/systemd/system/edged.service.d/proc.conf"


@pytest.fixture
def rule_for_a_unit(serving, samples):
    """Settings with a rule for a unit; whoever uses it has them read."""
    serving.write(SETTINGS, RULE)
    yield
    serving.run(f"rm -rf {SETTINGS} {Path(DROP_IN).parent} && systemctl daemon-reload")
    restart(serving, samples[0])


def restart(device, sample):
    """Restart the daemon, and wait until the model answers again."""
    device.run("systemctl restart edged.service")
    device.wait_for(f"{infer(sample.path)} --fail --silent --output /dev/null", timeout_s=60.0)


def ask(device, sample, *, unit):
    """Ask as the user app, from a process of a unit; returns the status."""
    command = f"{infer(sample.path)} --silent --output /dev/null --write-out '%{{http_code}}'"
    return device.output(f"systemd-run --quiet --collect --pipe --wait --unit={unit} --uid=app {command}")


def warnings(device):
    """The units of each warning that the process of the daemon that runs now has written."""
    device.run("journalctl --sync")
    process = device.output("systemctl show -P MainPID edged.service")
    found = device.output(f"journalctl MESSAGE_ID={UNITS_HIDDEN.message_id} _PID={process} -o json --no-pager")
    return [json.loads(line)["EDGED_UNITS"] for line in found.splitlines()]


@pytest.mark.usefixtures("rule_for_a_unit")
def test_rules_for_units_that_cannot_be_known_are_said_once_at_each_start_and_reload(serving, samples):
    restart(serving, samples[0])
    assert warnings(serving) == ["camera.service"]
    serving.run("systemctl reload edged.service")

    assert [ask(serving, samples[0], unit="camera.service") for _ in range(2)] == ["200", "200"]
    assert warnings(serving) == ["camera.service"] * 2


@pytest.mark.usefixtures("rule_for_a_unit")
def test_limits_of_a_unit_apply_to_it_and_to_nobody_else_once_processes_are_shown(serving, samples):
    """With the drop-in that the catalog tells about."""
    serving.write(DROP_IN, "[Service]\nProtectProc=default\n")
    serving.run("systemctl daemon-reload")
    restart(serving, samples[0])

    assert warnings(serving) == []
    assert [ask(serving, samples[0], unit="camera.service") for _ in range(2)] == ["200", "429"]
    assert ask(serving, samples[0], unit="other.service") == "200"
