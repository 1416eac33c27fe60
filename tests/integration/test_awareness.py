"""A real daemon that knows itself: its context over a made-up device, its events, and its end."""

import json
import threading

import pytest

from edged.api.documents.context import CONTEXT_PATH, ContextDocument
from edged.cli import edgectl
from edged.cli.event_stream import EventStream
from edged.cli.http import Client
from tests.fakes.bundles import make_bundle
from tests.fakes.live_daemons import live_daemon
from tests.fakes.sysfs import Sysfs


@pytest.fixture
def device():
    """A device on its battery, at 45 degrees Celsius, that looks at itself often."""
    with live_daemon() as device:
        device.sysfs = Sysfs(device.directory / "sys")
        device.sysfs.supply("BAT0", type="Battery", status="Discharging", capacity="80")
        device.sysfs.zone(0, "45000")
        device.configure({"sense": {"sysfs": device.sysfs.root, "poll_s": 0.05}})
        yield device


def context(device) -> ContextDocument:
    return Client(str(device.app_socket)).get(CONTEXT_PATH, ContextDocument)


def value(device, name):
    return context(device).quantities[name].value


class Listener:
    """Reads events in a thread until the daemon stops."""

    def __init__(self, device, types=""):
        self._stream = EventStream(str(device.app_socket), types=types, since="0-0")
        self.events = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for event in self._stream:
            self.events.append(event)
            if event.type == "stopping":
                return

    def has_stopped(self):
        self._thread.join(30)
        return not self._thread.is_alive()


def test_the_device_is_known_before_the_first_caller_is_answered_and_followed_after(device, capsys):
    device.start()
    known = context(device).quantities
    # A sensor that is slow on a busy machine keeps nobody waiting for long, but all have been asked.
    for name, found in (("power", "battery"), ("hottest_celsius", 45.0)):
        assert known[name].value == found or known[name].reason == "it has not answered yet"
    device.wait_until(
        lambda: (value(device, "power"), value(device, "hottest_celsius")) == ("battery", 45.0), "slow sensor"
    )
    listener = Listener(device)

    device.sysfs.supply("BAT0", status="Charging")
    device.wait_until(lambda: value(device, "power") == "mains", "plug")
    device.sysfs.zone(0, "95000")
    device.wait_until(lambda: value(device, "thermal") == "critical", "heat")

    assert edgectl.main(["--socket", str(device.app_socket), "device"]) == 0
    assert "critical, hottest 95.0 degC" in capsys.readouterr().out
    assert device.stop() == 0
    assert listener.has_stopped()
    contexts = [json.loads(event.data)["quantities"] for event in listener.events if event.type == "context"]
    assert {"value": "mains"} in [quantities["power"] for quantities in contexts]
    assert contexts[-1]["thermal"] == {"value": "critical"}
    assert "Device runs on something else source=mains before=battery percent=80" in device.log
    assert "Device has become so hot that policies may act level=critical" in device.log


def test_slots_and_the_updater_are_followed(device, tmp_path):
    device.install(make_bundle(tmp_path, version="1.0.0"))
    device.roll_out("adder", "1.0.0")
    device.start()
    listener = Listener(device, types="slot,update")
    device.wait_for_model("adder")
    status = {"schema": 1, "repository": "https://x/", "changed_at": 1.0}
    for said, told in (("idle", 1), ("polling", 1), ("idle", 1), ("downloading", 2), ("polling", 2), ("idle", 3)):
        (device.directory / "new").write_text(json.dumps(status | {"phase": said}))
        (device.directory / "new").replace(device.directory / "update.json")
        device.wait_until(lambda told=told: len(phases(listener)) == told, "update")

    device.wait_until(lambda: "health-passed" in moves(listener), "slot that moved")
    assert device.stop() == 0
    assert listener.has_stopped()
    assert phases(listener) == ["idle", "downloading", "idle"], "a poll that finds nothing is no news"


def phases(listener):
    return [json.loads(event.data)["phase"] for event in listener.events if event.type == "update"]


def moves(listener):
    events = [json.loads(event.data) for event in listener.events if event.type == "slot"]
    return " ".join(event["reason"] for event in events if event["model"] == "adder")


def test_the_network_is_what_the_gate_reports(device):
    device.start()
    assert "since boot" in context(device).quantities["link"].reason
    report = {"schema": 1, "link": "cellular", "metered": True, "round_trip_s": 0.2, "since_unix_s": 1.0}
    (device.directory / "new").write_text(json.dumps(report))
    (device.directory / "new").replace(device.directory / "link.json")

    device.wait_until(lambda: value(device, "link") == "cellular", "network")
    assert (value(device, "metered"), value(device, "round_trip_s")) == (True, 0.2)


def test_what_is_known_is_among_the_metrics_and_another_pace_is_taken_up(device):
    device.configure({"sense": {"sysfs": device.sysfs.root, "poll_s": 0.5}})
    device.start()
    device.wait_until(
        lambda: (value(device, "power"), value(device, "hottest_celsius")) == ("battery", 45.0), "slow sensor"
    )
    text = Client(str(device.app_socket)).request("GET", "/metrics").body.decode()
    assert 'edged_power_source{source="battery"} 1\n' in text
    assert "edged_thermal_hottest_celsius 45\n" in text

    device.configure({"sense": {"sysfs": device.sysfs.root, "poll_s": 0.05}})
    device.reload()
    device.sysfs.supply("BAT0", capacity="79")
    device.wait_until(lambda: value(device, "battery_percent") == 79.0, "another look")
