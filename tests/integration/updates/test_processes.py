"""The gate and the updater as the processes they are."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from edged.codec import encode_canonical
from edged.sockets import bind_unix
from edged.update.phases import Phase
from edged.update.status_file import read_status
from tests.fakes.gates import short_directory
from tests.fakes.repositories import Publisher
from tests.fakes.static_host import static_host

PATIENCE_S = 30.0
AS_SYSTEMD = """
import os, sys
os.dup2({number}, 3)
passed = {{"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "proxy"}}
os.execve(sys.argv[1], sys.argv[1:], {{**os.environ, **passed}})
"""


@contextmanager
def process(module, *arguments, command=(), environ=None, pass_fds=()):
    """Run a module as systemd would, and wait until it says READY; it is killed at the end when it is still there."""
    with short_directory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(directory / "notify"))
        systemd.settimeout(PATIENCE_S)
        running = subprocess.Popen(
            [*command, sys.executable, "-m", module, *map(str, arguments)],
            env={**os.environ, "NOTIFY_SOCKET": str(directory / "notify"), **(environ or {})},
            pass_fds=pass_fds,
            stderr=subprocess.DEVNULL,
        )
        try:
            while systemd.recv(1000) != b"READY=1":
                pass
            running.notifications = systemd
            yield running
        finally:
            running.kill()
            running.wait()


def stop(running) -> int:
    running.terminate()
    return running.wait(PATIENCE_S)


def wait_for(is_reached):
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_reached():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def toml(value) -> str:
    """Write a flat value as TOML; JSON's strings, numbers and lists are TOML's."""
    return encode_canonical(value).decode()


@pytest.fixture
def site(tmp_path):
    """A repository on a web server of this machine, and the configuration of a device that follows it."""
    publisher = Publisher(tmp_path / "publisher")
    publisher.release("1.0.0")
    with static_host(publisher.root) as web, short_directory() as run:
        config = tmp_path / "edged.toml"
        tables = {
            "paths": {
                "store": f"{tmp_path}/store",
                "gate_socket": f"{run}/proxy.sock",
                "update_status": f"{run}/status.json",
            },
            "repository": {
                "url": f"http://localhost:{web.port}/",
                "root": str(publisher.root_metadata),
                "poll_interval_s": 3600,
            },
            "update": {"disk_reserve_bytes": 0, "backoff_min_s": 3600},
            "egress": {"allow_private": [f"localhost:{web.port}"]},
        }
        lines = [
            f"[{name}]\n" + "\n".join(f"{k} = {toml(v)}" for k, v in table.items()) for name, table in tables.items()
        ]
        config.write_text("\n".join(lines))
        yield publisher, config, run, tmp_path / "store"


def test_bundle_comes_through_both_processes_and_sigusr1_brings_the_next(site):
    publisher, config, run, store = site
    with process("edged.egress", "--config", config) as gate:
        with process("edged.update", "--config", config) as updater:
            wait_for(lambda: read_status(run / "status.json").last_success_at is not None)
            assert (store / "bundles/demo/1.0.0/manifest.json").is_file()
            publisher.release("1.1.0")

            updater.send_signal(signal.SIGUSR1)

            wait_for((store / "bundles/demo/1.1.0/manifest.json").is_file)
            wait_for(lambda: read_status(run / "status.json").phase is Phase.IDLE)
            assert stop(updater) == 0
        assert stop(gate) == 0
        assert not (run / "proxy.sock").exists()


def test_updater_without_a_gate_says_so_and_stays(site):
    _, config, run, _ = site
    with process("edged.update", "--config", config) as updater:
        wait_for(lambda: read_status(run / "status.json").phase is Phase.WAITING)

        assert read_status(run / "status.json").error.code == "host-unreachable"
        assert "edged-egress" in read_status(run / "status.json").error.hint
        assert stop(updater) == 0


def test_updater_stops_quickly_while_the_host_says_nothing(site, tmp_path):
    """The thread that waits for the network does not hold up the stop."""
    _, config, run, _ = site
    with (
        bind_unix(run / "proxy.sock", mode=0o600) as silent_gate,
        process("edged.update", "--config", config) as updater,
    ):
        silent_gate.settimeout(PATIENCE_S)
        connection, _ = silent_gate.accept()
        with connection:
            connection.recv(1000)
            began_s = time.monotonic()
            assert stop(updater) == 0
            assert time.monotonic() - began_s < 10


def test_both_feed_the_watchdog(site):
    _, config, *_ = site
    with (
        process("edged.egress", "--config", config, environ={"WATCHDOG_USEC": "40000"}) as gate,
        process("edged.update", "--config", config, environ={"WATCHDOG_USEC": "40000"}) as updater,
    ):
        for running in (gate, updater):
            assert [running.notifications.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3


def test_gate_takes_the_socket_of_systemd_and_leaves_its_file(site):
    _, config, run, _ = site
    with bind_unix(run / "activated.sock", mode=0o600) as listener:
        number = listener.fileno()
        script = AS_SYSTEMD.format(number=number)
        command = [sys.executable, "-c", script]
        with process("edged.egress", "--config", config, command=command, pass_fds=[number]) as gate:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE_S)
                client.connect(str(run / "activated.sock"))
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 405 ")
            assert stop(gate) == 0
    assert (run / "activated.sock").exists()
    assert not (run / "proxy.sock").exists()


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
