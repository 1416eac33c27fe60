"""The chapters about updates: a download that is interrupted, a canary, a trial that fails, a stop."""

import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from demo.answers import GAUGE
from demo.magika import Answer, edge_publish, write_sources
from demo.processes import (
    WHOLE_BODY,
    DemoFailedError,
    active_version,
    edgectl,
    edged_dev,
    exchange,
    model_of,
    serve,
    status_of,
    wait_for,
)
from demo.spoiled import write_spoiled_model
from edged.bundle.manifest import CHUNK_BYTES
from edged.ops.cohort import is_among

SLOW_KB_S: Final = 500
ON: Final = ("trial", "good")
"""States of a slot that answers."""
LONGEST_STOP_S: Final = 10.0
"""From the end of the publisher's command to the first refusal. A poll interval of the demonstration (1 s) and a second are usual, and
what it took is printed; this much, on a machine that is busy with something else, too, is only reached when something is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Two devices: one that is among the first of a rollout, and one that is not."""

    insider: str
    outsider: str

    @classmethod
    def drawn(cls, *, rollout: str, percent: float) -> Self:
        """Find two such names by the rule that every device knows."""
        names = [f"kiosk-{number}" for number in range(1, 200)]
        insiders = [name for name in names if is_among(rollout, name, percent=percent)]
        return cls(insider=insiders[0], outsider=next(name for name in names if name not in insiders))


def first_download(work: Path, device: Path, port: int) -> None:
    """Let the first download be cut off in the middle, and go on where it stopped.

    Raises:
        DemoFailedError: It began again.
    """
    with serve(work, port, rate_kb_s=SLOW_KB_S):
        wait_for(lambda: received(device) >= CHUNK_BYTES, "the first megabyte over a slow link")
    had = received(device)
    print(f"the host is gone after {had:,} of {total(device):,} bytes")
    wait_for(lambda: phase(device) == "waiting", "the device to say so")
    edgectl(device, "update", "status")
    with serve(work, port, rate_kb_s=SLOW_KB_S):
        seen: list[int] = []
        wait_for(lambda: bool(received(device, seen)), "the download to go on")
        wait_for(lambda: phase(device) != "downloading", "the rest")
    kept = had // CHUNK_BYTES * CHUNK_BYTES
    print(f"it went on with {seen[0]:,} bytes in place: of {had:,}, at most one chunk of {CHUNK_BYTES:,} came twice")
    if seen[0] < kept:
        raise DemoFailedError(f"the download began again at {seen[0]} bytes, {kept} were there")


def update_of(device: Path) -> dict[str, Any]:
    """Return what the updater says it does."""
    return status_of(device).get("update") or {}


def phase(device: Path) -> str:
    """Return the updater's phase."""
    return str(update_of(device).get("phase", ""))


def received(device: Path, seen: list[int] | None = None) -> int:
    """Return the bytes of the download under way, and remember them in ``seen`` when there are any."""
    found = int((update_of(device).get("progress") or {}).get("received_bytes", 0))
    if seen is not None and found:
        seen.append(found)
    return found


def total(device: Path) -> int:
    """Return how many bytes the download under way has in all."""
    return int((update_of(device).get("progress") or {}).get("total_bytes", 0))


def canary(work: Path, device: Path, url: str, roles: Roles, keys: Sequence[object]) -> None:
    """Roll a version out to a part of the fleet, look at one device inside and one outside of it, then to everyone.

    Raises:
        DemoFailedError: The device outside took it before its time.
    """
    other = work / "other"
    with edged_dev(work, other, url, "--device-id", roles.outsider):
        wait_for(lambda: active_version(device, "gauge", states=ON) is not None, f"{roles.insider} to run it")
        wait_for(lambda: active_version(other, "magika") is not None, f"{roles.outsider} to run what everybody runs")
        for name, place in ((roles.insider, device), (roles.outsider, other)):
            decision = model_of(place, "gauge").get("rollout", {})
            runs = decision.get("version") or "nothing"
            print(f"{name:<10} runs {runs:<8} because: {decision.get('reason')}")
        if active_version(other, "gauge", states=ON) is not None:
            raise DemoFailedError(f"{roles.outsider} runs the canary")
        edge_publish("rollout", "status", "--repo", work / "repo")
        edge_publish("rollout", "advance", "gauge", "--percent", "100", "--now", *keys)
        wait_for(lambda: active_version(other, "gauge", states=ON) is not None, f"{roles.outsider} to run it, too")


def roll_back(
    work: Path,
    device: Path,
    samples: dict[str, bytes],
    answers: dict[str, Answer],
    *,
    version: str,
    before: str,
    keys: Sequence[object],
) -> None:
    """Publish a version that fails on what its kit does not contain, use it, and see it go.

    Raises:
        DemoFailedError: It stayed.
    """
    texts = {name: content for name, content in samples.items() if max(content) < 128}
    recipe = write_sources(work / "sources", version, texts, {name: answers[name] for name in texts})
    write_spoiled_model(work / "sources/model.onnx")
    edge_publish("bundle", "build", recipe, "--out", work / "bundles")
    edge_publish("publish", work / f"bundles/magika-{version}", "--no-rollout", *keys)
    edge_publish("rollout", "start", "magika", version, "--percent", 100, "--soak", "1m", *keys)
    wait_for(
        lambda: active_version(device, "magika", states=("trial",)) == version, f"version {version} to be on trial"
    )
    asked = failed = 0
    for content in [*samples.values()] * 3:
        status, _ = exchange(device, "POST", "/v2/models/magika/infer", content, WHOLE_BODY)
        asked += 1
        failed += status != http.client.OK
        if active_version(device, "magika") == before:
            break
    wait_for(lambda: active_version(device, "magika") == before, f"version {before} to answer again")
    refused = next(item for item in model_of(device, "magika")["refused"] if item["version"] == version)
    print(f"{failed} of {asked} requests failed. The device's reason: {refused['reason']}")


def stop_and_lift(device: Path, model: str, keys: Sequence[object]) -> None:
    """Stop a model, measure how long it goes on answering, and lift the stop.

    Raises:
        DemoFailedError: It took too long, or the answer is not a refusal with the publisher's reason.
    """
    reason = "readings above 300 degrees are wrong"
    picture = next((GAUGE / "kit").glob("*.png")).read_bytes()
    edge_publish("stop", model, "--reason", reason, *keys)
    begun_s = time.monotonic()
    while (answer := exchange(device, "POST", f"/v2/models/{model}/infer", picture, WHOLE_BODY))[0] == http.client.OK:
        if time.monotonic() - begun_s > LONGEST_STOP_S:
            raise DemoFailedError(f"{model} still answers {LONGEST_STOP_S:g} s after it was stopped")
    took_s = time.monotonic() - begun_s
    problem = json.loads(answer[1])
    print(f"refused after {took_s:.2f} s: {answer[0]} {problem['detail']}")
    if answer[0] != http.client.SERVICE_UNAVAILABLE or reason not in problem["detail"]:
        raise DemoFailedError(f"{model} answers {answer}")
    edgectl(device, "status", expect=6)
    edge_publish("stop", model, "--lift", "--reason", "readings checked", *keys)
    wait_for(lambda: model_of(device, model).get("state") == "serving", "it to answer again")
