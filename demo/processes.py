"""The processes of the demonstration, and what is asked of them."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from demo.magika import BIN

WAIT_S: Final = 60.0


class DemoFailedError(Exception):
    """Something in the story did not happen as it should."""


def step(title: str) -> None:
    """Begin a chapter."""
    print(f"\n== {title}", flush=True)


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens on.

    If possible none of those that the kernel gives to whoever connects (ip(7)): the host comes back to it after it was gone for a while.
    """
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    below = int(given.split()[0]) - 1 - os.getpid() % 5000
    for port in range(below, 1024, -1):
        if not is_listening(port):
            return port
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def serve(work: Path, port: int, *, rate_kb_s: int = 0) -> Iterator[None]:
    """Serve the repository as static files, as fast as can be or over a slow link."""
    command = [str(BIN / "edge-publish"), "serve", str(work / "repo"), "--port", str(port), "--rate", str(rate_kb_s)]
    with background(command, work / "host.log"):
        wait_for(lambda: is_listening(port), "the static web server")
        yield


@contextmanager
def edged_dev(work: Path, device: Path, url: str, *options: str) -> Iterator[None]:
    """Run ``edged dev`` against the repository."""
    common = ["--repository", url, "--root", str(work / "repo/metadata/1.root.json"), "--poll-interval", "1"]
    words = ["dev", "--dir", str(device), *common, *options]
    print("$ edged", *words)
    with background([str(BIN / "edged"), *words], log_of(device)):
        yield


def log_of(device: Path) -> Path:
    """Return where a device's processes write their log."""
    return device.with_suffix(".log")


@contextmanager
def background(command: list[str], log: Path) -> Iterator[None]:
    """Run a command beside the story; ended with SIGTERM, and killed when it does not end."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)  # noqa: S603 - ours
    try:
        yield
        if process.poll() is not None:
            raise DemoFailedError(f"{' '.join(command[:4])} ended by itself with {process.returncode}")
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket in place of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def exchange(
    device: Path, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """Send one request to the device's socket and return status and body.

    Raises:
        OSError: Nobody listens.
    """
    connection = SocketConnection(device / "run/edged.sock")
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def ask(device: Path, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
    """Send one request and return the JSON it answers.

    Raises:
        DemoFailedError: Any status but 200.
        OSError: Nobody listens.
    """
    status, data = exchange(device, method, path, body, headers)
    if status != http.client.OK:
        raise DemoFailedError(f"{method} {path}: {status} {data.decode(errors='replace')}")
    return json.loads(data)


def infer(device: Path, model: str, content: bytes) -> tuple[Any, float]:
    """Send a file to a model and return what it answers and how long that took in milliseconds."""
    begun_s = time.perf_counter()
    reply = ask(device, "POST", f"/v2/models/{model}/infer", content, WHOLE_BODY)
    return reply, (time.perf_counter() - begun_s) * 1000


WHOLE_BODY: Final = {"Inference-Header-Content-Length": "0"}
"""Says: the whole body is the one input."""


def status_of(device: Path) -> dict[str, Any]:
    """Return the status document, or nothing while the daemon does not answer yet."""
    try:
        status: dict[str, Any] = ask(device, "GET", "/edged/v1/status")
    except OSError:
        return {"models": []}
    return status


def model_of(device: Path, name: str) -> dict[str, Any]:
    """Return what the status document says of a model; empty when nothing."""
    return next((model for model in status_of(device)["models"] if model["name"] == name), {})


def active_version(device: Path, name: str, *, states: tuple[str, ...] = ("good",)) -> str | None:
    """Return the version of a model that answers, if its slot is in one of these states."""
    model = model_of(device, name)
    for slot in model.get("slots", ()):
        if slot["slot"] == model.get("active") and slot["state"] in states:
            return str(slot["version"])
    return None


def refusals(device: Path, name: str) -> list[str]:
    """Return the versions of a model that the device turned down."""
    return [str(refusal["version"]) for refusal in model_of(device, name).get("refused", ())]


def edgectl(device: Path, *words: str, expect: int = 0) -> None:
    """Run ``edgectl`` for the reader.

    Raises:
        DemoFailedError: It ended with another exit code.
    """
    print("$ edgectl", *words, flush=True)
    command = [str(BIN / "edgectl"), "--socket", str(device / "run/admin.sock"), *words]
    ended = subprocess.run(command, check=False)  # noqa: S603 - ours
    if ended.returncode != expect:
        raise DemoFailedError(f"edgectl {' '.join(words)} ended with {ended.returncode}, not {expect}")


def is_listening(port: int) -> bool:
    """Tell whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], bool], what: str) -> float:
    """Wait until something is so; returns how long that took in seconds.

    Raises:
        DemoFailedError: It was not within ``WAIT_S``.
    """
    print(f"waiting for {what} ...", end="", flush=True)
    begun_s = time.monotonic()
    while not condition():
        if time.monotonic() - begun_s > WAIT_S:
            print()
            raise DemoFailedError(f"waited {WAIT_S:g} s for {what}")
        time.sleep(0.05)
    took_s = time.monotonic() - begun_s
    print(f" {took_s:.1f} s")
    return took_s


def last_words(log: Path) -> str:
    """Return the end of a log, for whoever has to find out what went wrong."""
    return log.read_text(errors="replace")[-3000:] if log.exists() else ""


def complain(message: str, logs: list[Path]) -> None:
    """Say on standard error why the story ended early."""
    print(f"\nDEMO FAILED: {message}", file=sys.stderr)
    for log in logs:
        if words := last_words(log):
            print(f"--- last lines of {log.name}\n{words}", file=sys.stderr)
