"""Somebody at an installed device, as its own systemd-logind tells: off until it is wanted, and no bus for the daemon."""

import json
import time

import pytest

REPORT = "/run/edged-presence/presence.json"


@pytest.fixture
def presence(serving):
    """edged-presence, enabled as an administrator does it, and as it was before afterwards."""
    serving.run("systemctl enable --now edged-presence.service")
    yield
    serving.run("systemctl disable --now edged-presence.service")


@pytest.fixture
def person(serving):
    """Somebody logs in at the device's screen and uses it."""
    serving.run(
        "systemd-run --quiet --collect --unit=person.service --property=Type=exec"
        " /usr/bin/python3 /srv/vm/person.py $(id -u app)"
    )
    yield
    serving.run("systemctl stop person.service", check=False)


def said(device):
    return json.loads(device.output(f"cat {REPORT}"))


def idle_s(device):
    quantities = json.loads(device.output("runuser -u app -- edgectl device --json"))["quantities"]
    return quantities["idle_s"]["value"]


def wait_until(device, is_so, what):
    deadline_s = time.monotonic() + 60.0
    while not is_so():
        journal = device.output("journalctl -o cat --no-pager -n 50 -u edged-presence -u person -u systemd-logind")
        assert time.monotonic() < deadline_s, f"not {what}; the journal says:\n{journal}"


def test_it_is_off_as_installed(serving):
    assert serving.run("systemctl is-enabled edged-presence.service", check=False).stdout.strip() == "disabled"
    assert serving.run(f"test -e {REPORT}", check=False).returncode == 1


def test_nobody_is_said_with_the_reason_where_nobody_has_logged_in(serving, presence):
    report = said(serving)

    assert report["idle_s"] is None
    assert report["reason"] == "nobody is logged in at a screen or keyboard of this device"


def test_a_device_that_somebody_uses_is_not_idle_though_no_app_asks_anything(serving, presence, person):
    """And once its desktop says that nobody is there, idle time runs from then on."""
    wait_until(serving, lambda: said(serving)["idle_s"] == 0.0, "used")
    wait_until(serving, lambda: idle_s(serving) == 0.0, "not idle")

    serving.run("systemctl kill --signal=USR1 person.service")
    wait_until(serving, lambda: idle_s(serving) > 0.0, "idle")
    sensors = json.loads(serving.output("runuser -u app -- edgectl device --json"))["sensors"]
    assert [sensor["quantity"] for sensor in sensors if sensor["name"] == "edged-presence"] == ["idle"]


def test_what_it_said_goes_when_it_is_switched_off(serving, presence):
    serving.run("systemctl stop edged-presence.service")

    assert serving.run(f"test -e {REPORT}", check=False).returncode == 1


def test_it_stops_and_starts_with_the_daemon(serving, presence):
    """So that an upgrade, which restarts the daemon, has it run the new code."""
    before = serving.output("systemctl show -P MainPID edged-presence.service")
    serving.run("systemctl restart edged.service")

    serving.wait_for("systemctl is-active edged-presence.service", timeout_s=60.0)
    assert serving.output("systemctl show -P MainPID edged-presence.service") != before


def test_it_needs_little(serving, presence, measured):
    """It is there all the time, where it is wanted."""
    pid = serving.output("systemctl show -P MainPID edged-presence.service")
    own_kb = int(serving.output(f"awk '/^RssAnon/ {{print $2}}' /proc/{pid}/status"))
    measured(f"edged-presence, own memory: {own_kb / 1024:.1f} MB")

    assert own_kb < 16 << 10
