"""What apt leaves on a device: units that run, sockets with their owners, scores, users."""

import pytest

SERVICES = ("edged.service", "edged-update.service", "edged-egress.service")
SOCKETS = ("edged.socket", "edged-admin.socket", "edged-tensor.socket", "edged-egress.socket", "edged-offload.socket")


@pytest.mark.parametrize("unit", [*SERVICES, *SOCKETS])
def test_unit_is_enabled_and_active(device, unit):
    """Installing is the whole set-up: nothing has to be started by hand."""
    assert device.wait_for(f"systemctl is-active {unit}", timeout_s=60.0).strip() == "active"
    assert device.output(f"systemctl is-enabled {unit}") == "enabled"


@pytest.mark.parametrize("unit", SERVICES)
def test_service_has_notified_and_feeds_its_watchdog(device, unit):
    """The word "active" means ready, because the services say so themselves; none was started twice."""
    device.wait_for(f"systemctl is-active {unit}", timeout_s=60.0)
    shown = dict(
        line.split("=", 1)
        for line in device.output(f"systemctl show {unit} -p Type -p NRestarts -p WatchdogUSec -p Result").splitlines()
    )
    assert shown["Type"] in {"notify", "notify-reload"}
    assert shown["Result"] == "success"
    assert shown["NRestarts"] == "0"
    assert shown["WatchdogUSec"] not in {"0", "infinity"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/run/edged/edged.sock", "srw-rw---- root edged"),
        ("/run/edged/admin.sock", "srw-rw---- root edged-admin"),
        ("/run/edged/tensor.sock", "srw-rw---- root edged"),
        ("/run/edged-egress/proxy.sock", "srw-rw---- root edged-egress"),
        ("/run/edged-offload/offload.sock", "srw------- edged edged-offload"),
        ("/etc/edged/offload", "drwx------ root root"),
        ("/run/edged-daemon", "drwxr-xr-x edged edged"),
        ("/run/edged-link", "drwxr-xr-x edged-egress edged-egress"),
        ("/run/edged-link/link.json", "-rw-r--r-- edged-egress edged-egress"),
        ("/run/edged-presence", "drwxr-xr-x edged-presence edged-presence"),
        ("/run/edged-update", "drwxr-xr-x edged-update edged-update"),
        ("/var/lib/edged", "drwx------ edged edged"),
        ("/var/lib/edged-store", "drwxr-xr-x edged-update edged-update"),
    ],
)
def test_owner_and_mode(device, path, expected):
    """File permissions say who may talk to whom; the kernel enforces them."""
    assert device.output(f"stat -c '%A %U %G' {path}") == expected


@pytest.mark.parametrize(
    ("unit", "most"),
    [("edged", 3), ("edged-update", 3), ("edged-offload", 3), ("edged-presence", 3), ("edged-egress", 9)],
)
def test_exposure_score(device, unit, most):
    """The device's own systemd rates the unit no worse than design.md allows (the threshold is the score times ten)."""
    device.run(f"systemd-analyze security --no-pager --threshold={most} {unit}.service")


def test_commands_and_manual_pages_are_there(device):
    """Each command answers --help and has its page."""
    device.run("edged --help && edgectl --help && edge-publish --help")
    pages = device.output("dpkg -L edged edged-publisher | grep /man/")
    assert {"edged.8.gz", "edgectl.1.gz", "edge-publish.1.gz"} <= {
        line.rsplit("/", 1)[1] for line in pages.splitlines()
    }


def test_catalog_is_known_to_the_journal(device):
    """The installed catalog explains edged's events."""
    listed = device.output("journalctl --list-catalog")
    assert listed.count("edged: ") >= 7


def test_nothing_else_failed(device):
    """Installing edged breaks no other unit of a fresh device."""
    assert not device.output("systemctl --failed --no-legend --plain | grep -v '^run-' || true")
