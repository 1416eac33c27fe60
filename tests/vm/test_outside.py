"""What leaves the device, and what is known of its network: the processes as systemd runs them, in their sandboxes."""

import json

import pytest

ASK = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/edged-offload/offload.sock')"
ENDPOINT = """\
[offload.endpoints.magika]
url = "https://models.example.org/v2/models/magika/infer"
credential = "cloud"
"""


def test_the_gate_reads_the_kernels_routes_in_its_sandbox(device):
    """The container has no network: that is known, not unknown."""
    report = json.loads(device.wait_for("cat /run/edged-link/link.json", timeout_s=60.0))

    assert (report["link"], report["reason"]) == ("offline", "")


def test_the_daemon_may_read_what_the_gate_says(device):
    device.run("cat /run/edged-link/link.json", user="edged")


@pytest.fixture
def endpoint(device):
    device.write("/etc/edged/edged.toml.d/60-offload.toml", ENDPOINT)
    device.write("/etc/edged/offload/cloud", "Authorization: Bearer s3cret\n")
    device.run("chmod 0600 /etc/edged/offload/cloud; systemctl stop edged-offload.service")
    yield
    device.run("rm /etc/edged/offload/cloud /etc/edged/edged.toml.d/60-offload.toml")
    device.run("systemctl restart edged-offload.service")


def test_a_request_of_the_daemon_starts_the_process_with_its_credentials(device, endpoint):
    """It refuses to start without the credential that its settings name, so that it runs means that systemd handed it over."""
    device.run(["/usr/bin/python3", "-c", ASK], user="edged")

    device.wait_for("systemctl is-active edged-offload.service", timeout_s=60.0)
    assert device.output("systemctl show edged-offload.service -P NRestarts") == "0"
    assert "s3cret" not in device.output("journalctl -u edged-offload.service -o cat --no-pager")


@pytest.mark.parametrize("user", ["app", "edged-update", "edged-egress", "admin"])
def test_nobody_else_may_send_requests_out(device, user):
    """Apps are in the daemon's group; that is not enough."""
    refused = device.run(["/usr/bin/python3", "-c", ASK], user=user, check=False)

    assert "PermissionError" in refused.stderr


def test_the_daemon_may_not_use_the_gate(device):
    ask = ASK.replace("/run/edged-offload/offload.sock", "/run/edged-egress/proxy.sock")

    assert "PermissionError" in device.run(["/usr/bin/python3", "-c", ask], user="edged", check=False).stderr


SETTINGS = "/sys/devices/system/cpu"
SEEN = f"import os; print(*(os.statvfs(p).f_flag & os.ST_RDONLY for p in ('/sys', '{SETTINGS}', '{SETTINGS}/cpufreq')))"
LOOK = f"""\
[Service]
ExecStart=
ExecStart=/usr/bin/python3 -I -c "{SEEN}"
"""


@pytest.fixture
def look(device):
    """The unit with another program, which tells what it may write."""
    device.write("/run/systemd/system/edged-frequency@look.service.d/look.conf", LOOK)
    device.run("systemctl daemon-reload")
    # The container's own settings are read-only, unless it may change that.
    device.run("mount -o remount,bind,rw /sys/devices && mount -o remount,rw /sys/devices", check=False)
    yield "edged-frequency@look.service"
    device.run("mount -o remount,bind,ro /sys/devices", check=False)
    device.run("rm -r /run/systemd/system/edged-frequency@look.service.d; systemctl daemon-reload")


def test_what_caps_processors_may_write_their_settings_and_no_others(device, look):
    """Root owns all of them, so what is read-only there is what keeps it from the rest; the settings are as outside of the unit."""
    device.run(f"systemctl start {look} && journalctl --sync")

    outside = device.output(["/usr/bin/python3", "-c", SEEN]).split()[-1]
    assert device.output(f"journalctl -u {look} -o cat --no-pager _COMM=python3") == f"1 1 {outside}"


def test_wishes_are_carried_out_where_that_is_switched_on(device):
    """Off as installed. The container has no frequencies to cap: what is seen here is that the program runs, and that an undo follows."""
    assert device.run("systemctl is-enabled edged-frequency.path", check=False).stdout.strip() == "disabled"
    device.run("systemctl enable --now edged-frequency.path")
    device.run(["/bin/sh", "-c", 'echo \'{"schema":1,"share":0.5}\' >/run/edged-daemon/frequency.json'], user="edged")

    ended = "journalctl -o cat --no-pager -u edged-frequency@{}.service | grep -q 'Deactivated successfully'"
    device.wait_for(ended.format("apply"), timeout_s=30.0)
    device.run("systemctl disable --now edged-frequency.path")
    device.wait_for(ended.format("undo"), timeout_s=30.0)
