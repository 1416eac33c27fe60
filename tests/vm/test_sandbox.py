"""What the units' processes can do, tried from inside: the exposure score does not see everything."""

import json
import re

import pytest

# A copy of the unit runs probe.py in its place: same user, same sandbox, nothing else.
DROP_IN = """
[Unit]
Requires=
[Service]
Type=oneshot
Restart=no
ExecStart=
ExecStart=/usr/bin/python3 -I /etc/edged-probe/probe.py
WatchdogSec=0
"""
EVERYWHERE = {
    "confine itself",
    "fork",
    "limit memory",
    "look at a worker",
    "read /sys/class",
    "socket AF_UNIX",
    "write /dev/shm",
    "write /tmp",
    "write /var/tmp",
}
ALLOWED = {
    "edged": EVERYWHERE
    | {
        "read /etc/machine-id",
        "read /proc/cpuinfo",
        "resolve",
        "see /run/edged-offload/offload.sock",
        "see /usr/share/zoneinfo",
        "see /var/lib/edged",
        "see /var/lib/edged-store",
        # The kernel's messages about devices; the network that it could ask about is empty.
        "socket AF_NETLINK",
        "write /run/edged-daemon",
        "write /var/lib/edged",
    },
    "edged-update": EVERYWHERE
    | {
        "read /etc/machine-id",
        "read /proc/cpuinfo",
        "resolve",
        "see /run/edged-egress/proxy.sock",
        # What the links in /etc/ssl/certs lead to: without it no public host is believed.
        "see /usr/share/ca-certificates",
        "see /var/lib/edged-store",
        "write /run/edged-update",
        "write /var/lib/edged-store",
    },
    "edged-egress": EVERYWHERE | {"resolve", "socket AF_INET", "socket AF_INET6", "write /run/edged-link"},
    # The one process with a bus has nothing else.
    "edged-presence": EVERYWHERE | {"resolve", "see /run/dbus/system_bus_socket", "write /run/edged-presence"},
    "edged-offload": EVERYWHERE | {"resolve", "see /run/edged-egress/proxy.sock", "see /usr/share/ca-certificates"},
}


@pytest.fixture(params=sorted(ALLOWED))
def probed(request, device):
    """The unit's name and the outcome of every attempt."""
    unit = request.param
    device.run(
        f"mkdir -p /etc/edged-probe && cp /srv/vm/probe.py /etc/edged-probe/"
        # Two services must not share a socket; an empty Sockets= does not take it away.
        f" && sed /^Sockets=/d /usr/lib/systemd/system/{unit}.service >/run/systemd/system/probe-{unit}.service"
    )
    device.write(f"/run/systemd/system/probe-{unit}.service.d/probe.conf", DROP_IN)
    device.run(f"systemctl daemon-reload && systemctl start probe-{unit}.service")
    # The journal may be a moment behind.
    device.run("journalctl --sync")
    printed = device.output(f"journalctl -u probe-{unit}.service -o cat --no-pager _COMM=python3")
    yield unit, json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
    device.run(f"rm -r /etc/edged-probe /run/systemd/system/probe-{unit}.service*; systemctl daemon-reload")


def test_only_what_is_listed_is_possible(probed):
    """No network but the gate's, no write outside its own directories, no code but /usr's: everything else fails."""
    unit, outcomes = probed
    assert {name for name, outcome in outcomes.items() if outcome == "allowed"} == ALLOWED[unit], outcomes


def test_process_holds_no_privilege(device):
    """The kernel's own account of the running daemons: no capability, no new privileges, a filter in force."""
    # Started by its first request, and by an administrator; here by hand.
    device.run("systemctl start edged-offload.service edged-presence.service")
    for unit in ALLOWED:
        device.wait_for(f"systemctl is-active {unit}.service", timeout_s=60.0)
        status = device.output(f"cat /proc/$(systemctl show -P MainPID {unit}.service)/status")
        fields = dict(line.split(":", 1) for line in status.splitlines())
        assert {fields[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert (fields["NoNewPrivs"].strip(), fields["Seccomp"].strip()) == ("1", "2")


def test_daemon_hears_the_kernel(serving):
    """Its sandbox lets it have the messages about devices; without them it would say so."""
    assert serving.run("journalctl -u edged.service | grep 'noticed by the next look'", check=False).stdout == ""


def test_workers_are_confined_further_than_the_daemon(serving):
    """The kernel's own account of a worker: one more filter on system calls than the process it was forked from."""
    # A process that ends meanwhile is none of ours.
    printed = serving.output("cat /proc/[0-9]*/status 2>/dev/null || true")
    processes = [
        {key: value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        for block in re.split(r"(?m)^(?=Name:)", printed)[1:]
    ]
    (template,) = (process for process in processes if process["Name"] == "edged-template")
    workers = [process for process in processes if process["PPid"] == template["Pid"]]

    assert workers
    for worker in workers:
        assert (worker["NoNewPrivs"], worker["Seccomp"]) == ("1", "2")
        assert int(worker["Seccomp_filters"]) == int(template["Seccomp_filters"]) + 1
        assert {worker[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
