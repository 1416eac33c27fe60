"""What an installed device knows of itself: read inside the sandbox, followed as it changes, told to whoever asks.

A container has the memory and the load of its host, and neither sensors nor a network. The network is made by its own service manager (a
pair of virtual interfaces), the sensors are files in the only directory that both root and the daemon see.
"""

import json
import time
from contextlib import contextmanager
from itertools import groupby

import pytest

from tests.fakes.uevents import CPU, send_uevent

SETTINGS = "/etc/edged/edged.toml.d/60-device.toml"
SYSFS = "/var/lib/edged/sys-of-tests"
NETWORKS = "/run/systemd/network"
POLL_S = 10.0
"""The longest there may be: what is noticed earlier was not noticed by a poll."""
NOTICED_WITHIN_S = POLL_S / 2


def context(device):
    return json.loads(device.output("runuser -u app -- edgectl device --json"))


def value(device, name):
    return context(device)["quantities"][name].get("value")


def wait_for_value(device, name, expected):
    deadline_s = time.monotonic() + 60.0
    while (found := value(device, name)) != expected:
        assert time.monotonic() < deadline_s, f"{name} is {found}, not {expected}"


@contextmanager
def listener(device):
    """Have an app listen for contexts; yields the file of the device in which its events are."""
    unit, file = "listener.service", "/home/app/events"
    device.run(
        f"rm -f {file}; systemd-run --quiet --collect --unit={unit} --uid=app --property=StandardOutput=file:{file}"
        # The ID is of another start of the daemon. So the first thing told is that something was missed: it is listening.
        " edgectl events --json --types context --since 1-1"
    )
    try:
        device.wait_for(f"test -s {file}", timeout_s=30.0)
        yield file
    finally:
        device.run(f"systemctl stop {unit}")


@pytest.fixture(scope="module")
def uplink(serving):
    """Connects the device to nowhere in particular, and takes the connection away again."""
    serving.write(f"{NETWORKS}/50-uplink.netdev", "[NetDev]\nName=uplink\nKind=veth\n[Peer]\nName=router\n")
    serving.write(
        f"{NETWORKS}/50-uplink.network", "[Match]\nName=uplink\n[Network]\nAddress=192.0.2.2/24\nGateway=192.0.2.1\n"
    )
    serving.write(f"{NETWORKS}/50-router.network", "[Match]\nName=router\n[Network]\nLinkLocalAddressing=no\n")
    yield
    serving.run("networkctl delete uplink", check=False)
    serving.run(f"systemctl stop systemd-networkd.service systemd-networkd.socket; rm -r {NETWORKS}")


@pytest.fixture(scope="module")
def on_mains(serving):
    """Gives the device a charged battery and a plug, in files; looks at them come seldom."""
    serving.run(f"mkdir -p {SYSFS}/class/power_supply/AC {SYSFS}/class/power_supply/BAT0")
    for file, text in {"AC/type": "Mains", "BAT0/type": "Battery", "BAT0/capacity": "80"}.items():
        serving.write(f"{SYSFS}/class/power_supply/{file}", f"{text}\n")
    plug(serving, is_in=True)
    serving.write(SETTINGS, f'[sense]\nsysfs = "{SYSFS}"\npoll_s = {POLL_S}\n')
    serving.run("systemctl restart edged.service")
    wait_for_value(serving, "power", "mains")
    yield
    serving.run(f"rm -r {SETTINGS} {SYSFS} && systemctl restart edged.service")


def plug(device, *, is_in):
    """Plug the device in, or out."""
    status = "Charging" if is_in else "Discharging"
    device.run(
        f"cd {SYSFS}/class/power_supply && echo {int(is_in)} >AC/online && echo {status} >BAT0/status && chmod -R a+rX {SYSFS}"
    )


def test_quantities_are_known_or_have_a_reason_inside_the_sandbox(serving):
    quantities = context(serving)["quantities"]

    without = [name for name, said in quantities.items() if said.get("value") is None and not said.get("reason")]
    assert not without
    assert quantities["memory_available_bytes"]["value"] > 0
    assert quantities["load_per_core"]["value"] >= 0
    assert "cpu" in quantities["accelerators"]["value"]


def test_pressure_is_read_where_the_kernel_measures_it(serving):
    has_pressure = not serving.run("head -c 1 /proc/pressure/cpu", check=False).returncode

    for name in ("cpu_pressure", "memory_pressure", "io_pressure"):
        assert (value(serving, name) is not None) == has_pressure, name


def test_apps_see_the_page_of_the_device(serving):
    page = serving.output("runuser -u app -- edgectl device")

    assert [line.split("  ")[0] for line in page.splitlines()][:3] == ["Heat", "Throttled", "Power"]


def test_explanation_for_another_moment_names_its_rule(serving):
    told = json.loads(
        serving.output("edgectl policy explain --json --model magika --set thermal=critical --set power=battery:15")
    )

    assert told["explanations"], told
    assert serving.output("edgectl policy explain --model magika --set thermal=critical")


def test_network_comes_and_goes_from_the_gates_file_to_the_events(serving, uplink):
    """The gate reads the kernel's routes; the daemon, which has no network, what the gate wrote."""
    assert value(serving, "link") == "offline"
    with listener(serving) as events:
        serving.run("systemctl restart systemd-networkd.service")
        wait_for_value(serving, "link", "other")
        assert json.loads(serving.output("cat /run/edged-link/link.json"))["interface"] == "uplink"
        serving.run("networkctl delete uplink")
        wait_for_value(serving, "link", "offline")
        serving.wait_for(f'tail -n 1 {events} | grep -q \'"link": {{"value": "offline"\'', timeout_s=30.0)
        told = [json.loads(line) for line in serving.output(f"cat {events}").splitlines()]

    links = [event["data"]["quantities"]["link"]["value"] for event in told if event["type"] == "context"]
    # Something else may change, too, while the network stays as it is.
    assert [link for link, _ in groupby(links)][-2:] == ["other", "offline"]


def test_what_the_kernel_says_of_devices_reaches_the_daemon_in_its_sandbox(serving, on_mains, measured):
    """The kernel sends to all; the unit has a network and users of its own. Polls could be in time for one of two changes, not for both."""
    with listener(serving) as events:
        for is_in, source in ((False, "battery"), (True, "mains")):
            plug(serving, is_in=is_in)
            begun_s = time.monotonic()
            send_uevent(CPU)

            is_told = f'tail -n 1 {events} | grep -q \'"power": {{"value": "{source}"\''
            serving.wait_for(is_told, timeout_s=NOTICED_WITHIN_S)
            took_s = time.monotonic() - begun_s
            measured(f"on {source}: from the kernel's message to an app's event {took_s:.2f} s, poll {POLL_S:g} s")


def test_an_override_ends_by_itself_and_the_history_says_so(serving):
    serving.run("runuser -u admin -- edgectl policy override magika --defer 5s --for 2s --reason 'ticket 8'")

    serving.wait_for("! edgectl policy show --json | grep -q 'ticket 8'", timeout_s=30.0)

    assert serving.output("edgectl update history magika --json").count("ticket 8") >= 1


def test_nothing_is_sent_out_that_nobody_configured(serving):
    """The process that asks endpoints is started by its first request, and there is no endpoint."""
    shown = serving.output("systemctl show edged-offload.service -p ActiveState -p NRestarts -p ExecMainStartTimestamp")

    assert shown.splitlines() == ["NRestarts=0", "ExecMainStartTimestamp=", "ActiveState=inactive"]
