"""The gate and the updater as the processes they are."""

import signal
import socket
import subprocess
import sys

import pytest

from edged.sockets import bind_unix
from edged.update.protocol.phases import Phase
from tests.fakes.patience import PATIENCE_S
from tests.fakes.services import process, stop, wait_for

AS_SYSTEMD = """
import os, sys
os.dup2({number}, 3)
passed = {{"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "proxy"}}
os.execve(sys.argv[1], sys.argv[1:], {{**os.environ, **passed}})
"""


def test_bundle_comes_through_both_processes_and_sigusr1_brings_the_next(site):
    with process("edged.egress", "--config", site.config) as gate:
        with process("edged.update", "--config", site.config) as updater:
            wait_for(lambda: site.status().last_success_at is not None)
            assert (site.store / "bundles/demo/1.0.0/manifest.json").is_file()
            site.publisher.release("1.1.0")

            updater.send_signal(signal.SIGUSR1)

            wait_for((site.store / "bundles/demo/1.1.0/manifest.json").is_file)
            wait_for(lambda: site.status().phase is Phase.IDLE)
            assert stop(updater) == 0
        assert stop(gate) == 0
        assert not (site.run / "proxy.sock").exists()


def test_updater_without_a_gate_says_so_and_stays(site):
    with process("edged.update", "--config", site.config) as updater:
        wait_for(lambda: site.status().phase is Phase.WAITING)

        assert site.status().error.code == "host-unreachable"
        assert "edged-egress" in site.status().error.hint
        assert stop(updater) == 0


def test_updater_stops_quickly_while_the_host_says_nothing(site, tmp_path):
    """A refresh that waits for the network, for as long as a test may last, does not hold up the stop."""
    site.configure(update={"timeout_s": 20 * PATIENCE_S})
    with (
        bind_unix(site.run / "proxy.sock", mode=0o600) as silent_gate,
        process("edged.update", "--config", site.config) as updater,
    ):
        silent_gate.settimeout(PATIENCE_S)
        connection, _ = silent_gate.accept()
        with connection:
            connection.recv(1000)
            assert stop(updater) == 0


def test_both_feed_the_watchdog(site):
    with (
        process("edged.egress", "--config", site.config, environ={"WATCHDOG_USEC": "40000"}) as gate,
        process("edged.update", "--config", site.config, environ={"WATCHDOG_USEC": "40000"}) as updater,
    ):
        for running in (gate, updater):
            assert [running.notifications.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3


def test_gate_takes_the_socket_of_systemd_and_leaves_its_file(site):
    with bind_unix(site.run / "activated.sock", mode=0o600) as listener:
        number = listener.fileno()
        script = AS_SYSTEMD.format(number=number)
        command = [sys.executable, "-c", script]
        with process("edged.egress", "--config", site.config, command=command, pass_fds=[number]) as gate:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE_S)
                client.connect(str(site.run / "activated.sock"))
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 405 ")
            assert stop(gate) == 0
    assert (site.run / "activated.sock").exists()
    assert not (site.run / "proxy.sock").exists()


@pytest.mark.parametrize("module", ["edged.egress", "edged.update"])
def test_wrong_configuration_ends_with_one_sentence(tmp_path, module):
    config = tmp_path / "edged.toml"
    config.write_text("[update]\ntimeout_s = 0\n")

    done = subprocess.run(
        [sys.executable, "-m", module, "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert done.returncode == 1
    assert f"{config}: update.timeout_s: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("configured", "told"), [("yes", b"?1"), ("no", b"?0"), ("unknown", None)])
def test_gate_tells_what_is_configured_about_its_link(site, configured, told):
    site.config.write_text(f'{site.config.read_text()}\nmetered = "{configured}"\n')
    with process("edged.egress", "--config", site.config), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_S)
        client.connect(str(site.run / "proxy.sock"))
        where = f"localhost:{site.web.port}".encode()
        client.sendall(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (where, where))
        status, *fields = client.recv(1000).split(b"\r\n")

    assert status.startswith(b"HTTP/1.1 200 ")
    assert dict(field.split(b": ") for field in fields if field).get(b"Link-Metered") == told
