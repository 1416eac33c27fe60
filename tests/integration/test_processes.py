"""The real processes, started as a developer and as systemd start them."""

import http.client
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edged.config.schema import ServeConfig
from edged.daemon.descriptors import descriptors_wanted
from edged.publish.keys.directory import Keyring
from edged.publish.repository.operations import init_repository, publish_bundle
from tests.fakes.bundles import adder_answer, make_bundle
from tests.fakes.gates import short_directory
from tests.fakes.static_host import static_host

WAIT_S = 60.0
HELLO = b"Hello, edge"


def wait_until(condition: Callable[[], object], what: str, *, process: subprocess.Popen) -> None:
    """Wait for another process, which no clock of ours can hurry; bounded, and over as soon as the process ends."""
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert process.poll() is None, f"the process ended with {process.returncode} while we waited for {what}"
        assert time.monotonic() < deadline_s, f"no {what} within {WAIT_S:g} s"
        time.sleep(0.05)


def request(path: Path, method: str, target: str, body: bytes = b"", **headers: str):
    """One request over a Unix socket; returns the status and the JSON, or None when nobody listens."""
    connection = http.client.HTTPConnection("localhost", timeout=WAIT_S)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(str(path))
        connection.request(method, target, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    finally:
        connection.close()


def ask_adder(path: Path):
    headers = {"Inference-Header-Content-Length": "0"}
    return request(path, "POST", "/v2/models/adder/infer", HELLO, **headers)


@pytest.fixture
def directory():
    with short_directory() as path:
        path.chmod(0o755)  # the processes may run as nobody
        yield path


@pytest.fixture
def host(directory):
    """A signed repository with adder 1.0.0, served as static files."""
    keys = Keyring(directory=directory / "keys")
    repository = directory / "repository"
    now = datetime.now(UTC)
    init_repository(repository, keys, now=now, root_count=1, root_threshold=1)
    publish_bundle(repository, make_bundle(directory / "bundles"), keys, now=now)
    with static_host(repository) as host:
        yield host


def start(*arguments: object, environ: dict[str, str] | None = None) -> subprocess.Popen:
    command = [sys.executable, "-m", "edged", *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, **(environ or {})}, stderr=subprocess.PIPE, text=True)


def stop(process: subprocess.Popen) -> str:
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=WAIT_S)
    return errors


def test_edged_dev_brings_a_model_from_a_static_host_to_an_answer(directory, host):
    device = directory / "device"
    root = directory / "repository/metadata/1.root.json"
    process = start(
        "dev", "--dir", device, "--repository", f"http://localhost:{host.port}/", "--root", root, "--poll-interval", "1"
    )
    try:
        wait_until(lambda: (ask_adder(device / "run/edged.sock") or (0,))[0] == 200, "an answer", process=process)
        _, answer = ask_adder(device / "run/edged.sock")
        outputs = {output["name"]: output["data"] for output in answer["outputs"]}
        assert outputs == {"sum": [adder_answer(HELLO)]}
        assert answer["parameters"]["variant"] == "adder-1.0.0-fp32-any"
    finally:
        stop(process)
    assert process.returncode == 0


def libraries_of(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def tree_of(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from tree_of(int(child))


def test_running_loads_nothing_that_only_the_workers_need(directory, host):
    """Neither taking over a model nor questions of any kind bring numpy, the runtime or TLS into the daemon, nor TLS into a worker."""
    device = directory / "device"
    path = device / "run/edged.sock"
    root = directory / "repository/metadata/1.root.json"
    process = start("dev", "--dir", device, "--repository", f"http://localhost:{host.port}/", "--root", root)
    try:
        wait_until(lambda: (ask_adder(path) or (0,))[0] == 200, "an answer", process=process)
        for target in ("/v2/models/adder/config", "/v2/models/adder/stats", "/edged/v1/status"):
            assert request(path, "GET", target)[0] == 200
        loaded = {Path(f"/proc/{pid}/cmdline").read_text(): libraries_of(pid) for pid in tree_of(process.pid)}
    finally:
        stop(process)
    (daemon,) = (libraries for command, libraries in loaded.items() if "\0run\0" in command)
    (gate,) = (libraries for command, libraries in loaded.items() if "\0egress\0" in command)
    computing = [libraries for command, libraries in loaded.items() if "edged.worker.template" in command]
    assert computing
    for libraries in (daemon, gate):
        assert not re.search(r"numpy|onnxruntime|libssl|/_ssl\.", libraries)
    for libraries in computing:
        assert re.search(r"onnxruntime", libraries)
        assert not re.search(r"sqlite|aiohttp|libssl|/_ssl\.", libraries)


def test_edged_dev_says_what_cannot_work(directory):
    process = start("dev", "--dir", directory / ("d" * 100))
    _, errors = process.communicate(timeout=WAIT_S)

    assert process.returncode == 2
    assert "too long for a Unix socket" in errors


@pytest.fixture
def config(directory):
    """A configuration that a running daemon can be given."""
    file = directory / "edged.toml"
    lines = [f'{name} = "{directory}/{leaf}"' for name, leaf in (
        ("store", "store"), ("state", ""), ("app_socket", "app.sock"), ("admin_socket", "admin.sock"),
        ("tensor_socket", "tensor.sock"), ("update_status", "update.json"), ("in_use", "in-use.json"),
    )]  # fmt: skip
    file.write_text("[paths]\n" + "\n".join(lines) + "\n")
    return file


class Notifications:
    """What a process tells systemd, received in systemd's place."""

    def __init__(self, path: Path) -> None:
        self.environ = {"NOTIFY_SOCKET": str(path)}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(WAIT_S)

    def next(self) -> list[str]:
        return self._socket.recv(4096).decode().splitlines()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(directory):
    notifications = Notifications(directory / "notify.sock")
    yield notifications
    notifications.close()


def test_daemon_tells_systemd_when_it_serves_reloads_and_stops(config, systemd):
    """Type=notify-reload: READY, then RELOADING with the monotonic time and READY again, then STOPPING (sd_notify(3))."""
    process = start("run", "--config", config, environ=systemd.environ)
    try:
        assert systemd.next() == ["READY=1"]
        assert request(config.parent / "app.sock", "GET", "/v2/health/ready")[0] == 200
        process.send_signal(signal.SIGHUP)
        reloading = systemd.next()
        assert reloading[0] == "RELOADING=1"
        assert reloading[1].startswith("MONOTONIC_USEC=")
        assert systemd.next() == ["READY=1"]
    finally:
        stop(process)
    assert systemd.next() == ["STOPPING=1"]
    assert process.returncode == 0
    assert not (config.parent / "app.sock").exists()


def test_reload_with_a_mistake_changes_nothing_and_names_it(config, systemd):
    process = start("run", "--config", config, environ=systemd.environ)
    try:
        systemd.next()
        config.write_text(config.read_text() + "[serve]\nmax_queud = 1\n")
        process.send_signal(signal.SIGHUP)
        systemd.next()
        assert systemd.next() == ["READY=1"]
        assert request(config.parent / "app.sock", "GET", "/v2/health/live")[0] == 200
    finally:
        errors = stop(process)
    assert "Reload refused, settings unchanged" in errors
    assert "max_queud" in errors


@pytest.fixture
def few_descriptors():
    """Processes start with a low soft limit of open files, as under systemd."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_descriptors")
def test_daemon_may_have_as_many_files_open_as_its_settings_need(config, systemd):
    serve = {"max_body_bytes": 1 << 20, "max_connections": 100}
    paths = config.read_text()

    def configure():
        config.write_text(f"{paths}[serve]\n" + "".join(f"{key} = {value}\n" for key, value in serve.items()))
        return descriptors_wanted(ServeConfig(**serve))

    wanted = configure()
    process = start("run", "--config", config, environ=systemd.environ)
    try:
        systemd.next()
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[0] == wanted
        serve["max_connections"] += 100
        wanted = configure()
        process.send_signal(signal.SIGHUP)
        systemd.next()
        systemd.next()
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[0] == wanted
    finally:
        stop(process)


@pytest.mark.parametrize("verb", ["run", "update", "egress"])
def test_process_with_wrong_settings_names_every_mistake_and_does_not_start(directory, verb):
    config = directory / "edged.toml"
    config.write_text('[serve]\nmax_queued = 0\n[repository]\nurl = "ftp://x"\n')
    process = start(verb, "--config", config)
    _, errors = process.communicate(timeout=WAIT_S)

    assert process.returncode == 1
    assert "serve.max_queued" in errors
    assert "repository.url" in errors
    assert "Traceback" not in errors
