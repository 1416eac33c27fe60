"""Starts of an installed device: how long one takes, after a crash, and with a mistake in the settings."""

import time

from tests.vm.asking import infer


def test_reload_with_a_wrong_setting_changes_nothing(serving, samples):
    """A typing error in /etc does not take the models away."""
    serving.write("/etc/edged/edged.toml.d/90-wrong.toml", "[serve]\nmax_queued = 0\n")
    before = serving.output("systemctl show -P MainPID edged.service")
    try:
        serving.run("systemctl reload edged.service", timeout_s=120.0, check=False)

        serving.run(f"{infer(samples[0].path)} --fail --silent --output /dev/null")
        assert serving.output("systemctl is-active edged.service") == "active"
        assert serving.output("systemctl show -P MainPID edged.service") == before
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
    measured(f"start, systemctl start to first answer: {took_s:.1f} s")
    assert took_s < 30.0
