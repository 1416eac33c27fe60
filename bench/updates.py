"""What updates cost, and how fast they take effect: polls, stops, and going back.

One device after the other, with real processes and a repository of its own, as on a device.
"""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from bench import device
from bench.load import AnswerError, Client
from bench.messages import binary_request
from bench.models import Model
from bench.processes import running, unix_connection, wait_until
from bench.relay import relay
from edged.cli.http import Client as Admin

POLLS: Final = 20
STOP_POLL_S: Final = 5.0


def measure_updates(model: Model, work: Path, *, scale: float) -> dict[str, Any]:
    """Measure everything about updates with one small model.

    Args:
        model: What the device serves.
        work: A directory for everything that is written.
        scale: Of the number of tries.
    """
    work.mkdir()
    device.publish([model], work)
    tries = max(1, round(3 * scale))
    return {
        "poll": _measure_poll(model, work),
        "stop_s": _measure_stops(model, work, tries=tries),
        "flip_back_ms": _measure_flips(model, work, tries=tries),
    }


@contextmanager
def host(work: Path) -> Iterator[int]:
    """Serve the repository; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    log = work / "host.log"
    with running([*device.EDGE_PUBLISH, "serve", str(work / "repo"), "--port", str(port)], log) as process:
        wait_until(lambda: _is_listening(port), "the host", process, log)
        yield port


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running_device(model: Model, work: Path, name: str, port: int, *options: object) -> Iterator[Path]:
    """Run a device until the context ends, from the moment on that it answers; yields its directory."""
    place, log = work / name, work / f"{name}.log"
    command = [*device.EDGED, "dev", "--dir", str(place), "--repository", f"http://localhost:{port}/"]
    command += ["--root", str(work / "repo/metadata/1.root.json"), *map(str, options)]
    with running(command, log) as process:
        wait_until(lambda: model.name in device.answering(place), "edged", process, log)
        yield place


def _measure_poll(model: Model, work: Path) -> dict[str, float]:
    """Count what a poll brings that finds nothing new, on the connection that is kept."""
    with ExitStack() as stack:
        port, passed = stack.enter_context(relay(stack.enter_context(host(work))))
        stack.enter_context(running_device(model, work, "p", port, "--poll-interval", 0.5))
        _wait_for_quiet(lambda: passed.questions)
        before = (passed.sent_bytes, passed.received_bytes, passed.questions, passed.connections)
        while passed.questions < before[2] + POLLS:
            time.sleep(0.05)
        polls = passed.questions - before[2]
        return {
            "sent_bytes": (passed.sent_bytes - before[0]) / polls,
            "received_bytes": (passed.received_bytes - before[1]) / polls,
            "connections": passed.connections - before[3],
        }


def _wait_for_quiet(count: Any) -> None:
    """Wait until no more than one question is asked in a poll interval: the refreshes are over."""
    while True:
        before = count()
        time.sleep(1.0)
        if count() - before <= 3:
            return


def _measure_stops(model: Model, work: Path, *, tries: int) -> list[float]:
    """Measure the time from the end of the publisher's command to the first refusal, right after a poll: the longest wait there is."""
    found = []
    keys = ("--repo", work / "repo", "--keys", work / "keys")
    with host(work) as port, running_device(model, work, "s", port, "--poll-interval", STOP_POLL_S) as place:
        for _ in range(tries):
            device.edge_publish("stop", model.name, "--reason", "measured", *keys)
            begun_s = time.monotonic()
            while _answers(model, place):
                time.sleep(0.005)
            found.append(time.monotonic() - begun_s)
            device.edge_publish("stop", model.name, "--lift", "--reason", "measured", *keys)
            while not _answers(model, place):
                time.sleep(0.005)
    return found


def _measure_flips(model: Model, work: Path, *, tries: int) -> list[float]:
    """Measure from an operator's word during a trial until the version before answers, once for each of some versions."""
    found = []
    options = ("--poll-interval", 0.5, "--trial", 0)
    with host(work) as port, running_device(model, work, "f", port, *options) as place:
        admin = Admin(str(place / "run/admin.sock"))
        for number in range(1, tries + 1):
            version = f"1.0.{number}"
            device.publish_version(model, work, version=version, options=("--no-rollout",))
            words = ("rollout", "start", model.name, version, "--percent", 100, "--soak", "1h")
            device.edge_publish(*words, "--repo", work / "repo", "--keys", work / "keys")
            while _version(model, admin) != version:
                time.sleep(0.05)
            body = json.dumps({"model": model.name, "reason": "measured"}).encode()
            begun_s = time.perf_counter()
            admin.request("POST", "/edged/v1/update/rollback", body=body)
            if not _answers(model, place) or _version(model, admin) != "1.0.0":
                raise AssertionError("the version before does not answer")
            found.append((time.perf_counter() - begun_s) * 1e3)
            device.edge_publish(
                "rollout", "halt", model.name, "--reason", "measured", "--repo", work / "repo", "--keys", work / "keys"
            )
    return found


def _version(model: Model, admin: Admin) -> str:
    status = json.loads(admin.request("GET", "/edged/v1/status").body)
    for item in status["models"]:
        for slot in item["slots"]:
            if item["name"] == model.name and slot["slot"] == item.get("active"):
                return str(slot["version"])
    return ""


def _answers(model: Model, place: Path) -> bool:
    try:
        client = Client(lambda: unix_connection(device.socket_of(place)), binary_request(model))
    except OSError:
        return False
    try:
        client.ask()
    except (OSError, AnswerError):
        return False
    finally:
        client.close()
    return True


def print_updates(found: dict[str, Any]) -> None:
    """Print what was measured."""
    poll = found["poll"]
    print(f"\n{'updates':24}")
    print(
        f"{'a poll, nothing new':24}{poll['sent_bytes']:.0f} bytes sent, {poll['received_bytes']:.0f} received, "
        f"{poll['connections']:.0f} new connections in {POLLS} polls"
    )
    print(f"{'a stop, s':24}{_list(found['stop_s'], 2)} (poll interval {STOP_POLL_S:g} s)")
    print(f"{'going back, ms':24}{_list(found['flip_back_ms'], 1)}")


def _list(values: Sequence[float], digits: int) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)
