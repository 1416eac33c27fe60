"""Restart and reload under load: apps notice nothing but a slower answer."""

import time

import pytest

from tests.vm.asking import infer

# Two apps ask one request after the other until told to stop, then say how many were answered and how many not.
LOAD = """#!/bin/sh
answered=0 lost=0
while [ ! -e /tmp/load-stop ]; do
    if {request} --fail --silent --show-error --output /dev/null; then
        answered=$((answered + 1))
    else
        lost=$((lost + 1))
    fi
    echo "$answered $lost" >"$1.new" && mv "$1.new" "$1"
done
"""
CLIENTS = ("one", "two")
RESTARTS = 5


@pytest.fixture
def load(serving, samples):
    """Requests in a loop from two clients; returns a function that stops them and gives (answered, lost)."""
    serving.run("rm -rf /tmp/load-stop /srv/load && install -d -o app /srv/load")
    serving.write("/srv/load/client", LOAD.format(request=infer(samples[0].path)))
    for client in CLIENTS:
        serving.run(
            f"systemd-run --quiet --collect --unit=load-{client} --uid=app sh /srv/load/client /srv/load/{client}.count"
        )
    wait_for_answers(serving, at_least=5)

    def stop():
        wait_for_answers(serving, at_least=5)
        serving.run("touch /tmp/load-stop")
        for client in CLIENTS:
            serving.wait_for(f"! systemctl is-active --quiet load-{client}", timeout_s=60.0)
        return counts(serving)

    yield stop
    serving.run("touch /tmp/load-stop")


def counts(device):
    """Add up what the clients have counted: (answered, lost)."""
    pairs = [line.split() for line in device.output("cat /srv/load/*.count").splitlines()]
    return sum(int(answered) for answered, _ in pairs), sum(int(lost) for _, lost in pairs)


def wait_for_answers(device, *, at_least):
    """Wait until both clients got some more answers than they have now."""
    device.wait_for("ls " + " ".join(f"/srv/load/{client}.count" for client in CLIENTS), timeout_s=60.0)
    for client in CLIENTS:
        now = int(device.output(f"cut -d' ' -f1 /srv/load/{client}.count"))
        device.wait_for(f"[ $(cut -d' ' -f1 /srv/load/{client}.count) -ge {now + at_least} ]", timeout_s=60.0)


def test_restarts_lose_no_request(serving, load):
    """The service manager holds the socket, the daemon finishes what it has: every request of the loop is answered."""
    before = serving.output("systemctl show -P MainPID edged.service")

    for _ in range(RESTARTS):
        serving.run("systemctl restart edged.service", timeout_s=120.0)

    answered, lost = load()
    assert serving.output("systemctl show -P MainPID edged.service") != before
    assert (lost, answered > 0) == (0, True), serving.output("journalctl -u 'load-*' -o cat --no-pager | tail")


def test_upgrade_loses_no_request(serving, load):
    """Installing replaces the code and restarts the daemon; the sockets stay open meanwhile."""
    before = serving.output("systemctl show -P MainPID edged.service")

    serving.run("apt-get -q -y install --reinstall /srv/dist/*.deb", timeout_s=180.0)

    _, lost = load()
    assert serving.output("systemctl show -P MainPID edged.service") != before
    assert lost == 0, serving.output("journalctl -u 'load-*' -o cat --no-pager | tail")


def test_reload_loses_no_request_and_keeps_the_process(serving, load):
    """A reload is verified and applied by the running daemon."""
    before = serving.output("systemctl show -P MainPID edged.service")

    serving.run("systemctl reload edged.service", timeout_s=120.0)

    _, lost = load()
    assert lost == 0, serving.output("journalctl -u 'load-*' -o cat --no-pager | tail")
    assert serving.output("systemctl show -P MainPID edged.service") == before


def test_reload_with_a_wrong_setting_changes_nothing(serving, load):
    """A typing error in /etc does not take the models away."""
    serving.write("/etc/edged/edged.toml.d/90-wrong.toml", "[serve]\nmax_queued = 0\n")
    try:
        serving.run("systemctl reload edged.service", timeout_s=120.0, check=False)

        _, lost = load()
        assert lost == 0
        assert serving.output("systemctl is-active edged.service") == "active"
    finally:
        serving.run("rm /etc/edged/edged.toml.d/90-wrong.toml && systemctl reload edged.service", timeout_s=120.0)


def test_killed_daemon_comes_back_with_its_model(serving, samples):
    """After a crash the same model answers again, from the store, without asking the network."""
    serving.run("systemctl stop edged-update.service edged-egress.service edged-egress.socket")
    try:
        serving.run("systemctl kill --kill-whom=main --signal=KILL edged.service")
        serving.wait_for(f"{infer(samples[0].path)} --fail --silent --output /dev/null", timeout_s=60.0)
    finally:
        serving.run("systemctl start edged-egress.socket edged-egress.service edged-update.service")


def test_cold_start(serving, samples, measured):
    """From ``systemctl start`` to the first answer; the limit is far above what is usual, against hanging starts only."""
    serving.run("systemctl stop edged.service")
    begun = time.monotonic()
    serving.run(
        f"systemctl start --no-block edged.service && {infer(samples[0].path)} --fail --silent --output /dev/null"
        " --retry 100 --retry-delay 0 --retry-all-errors",
        timeout_s=60.0,
    )
    took_s = time.monotonic() - begun
    measured(f"cold start, systemctl start to first answer: {took_s:.1f} s")
    assert took_s < 30.0
