"""Removing edged: what is kept on removal, and that purge leaves nothing."""

USERS = ("edged", "edged-update", "edged-egress", "edged-offload")
GROUPS = (*USERS, "edged-admin")
PACKAGES = "edged edged-publisher python3-edged"


def test_remove_can_be_undone(device):
    """Removal stops everything and keeps settings, users and models; installing brings the service back."""
    device.run("touch /var/lib/edged-store/kept /etc/edged/kept")
    device.run(f"apt-get -q -y remove {PACKAGES}", timeout_s=120.0)

    assert not device.output("systemctl list-units --all --plain --no-legend 'edged*' | grep -v not-found || true")
    device.run("test -e /var/lib/edged-store/kept && test -e /etc/edged/kept && id edged")

    device.run("apt-get -q -y install /srv/dist/*.deb", timeout_s=120.0)
    device.wait_for("systemctl is-active edged.socket", timeout_s=60.0)


def test_purge_leaves_nothing(device):
    """After apt purge it is as if edged had never been there."""
    device.run("systemctl stop host.service 2>/dev/null || true")
    device.run(f"apt-get -q -y purge {PACKAGES}", timeout_s=120.0)

    for user in USERS:
        assert device.run(["getent", "passwd", user], check=False).returncode != 0, user
    for group in GROUPS:
        assert device.run(["getent", "group", group], check=False).returncode != 0, group
    # What apt and the journal remember of packages, and the tests' own files, are not edged's.
    left = device.output(
        "find / -xdev \\( -path /srv -o -path /tmp -o -path /var/log -o -path /var/lib/apt -o -path /var/cache/apt \\) -prune"
        " -o \\( -name '*edged*' -o -name 'edgectl*' -o -name 'edge-publish*' \\) -print"
        "; find /run /var/lib/systemd /etc/systemd -name '*edged*'"
    )
    assert not left
    assert not device.output("find / -xdev \\( -nouser -o -nogroup \\) -print")
