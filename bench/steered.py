"""What it costs a request that a policy decides about it, and that a candidate runs in the shadow of what answers it: side by side."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench import device
from bench.load import Client
from bench.measure import WARM_UP, measure_latencies, p50_us
from bench.messages import binary_request
from bench.models import Model
from bench.processes import unix_connection
from bench.updates import host, running_device
from edged.cli.http import Client as Admin
from edged.cli.steering import Steering
from edged.policy.document import Then

REQUESTS: Final = 4000
ROUNDS: Final = 20
SHARE: Final = 0.1
FOR_S: Final = 600.0
"""How long an administrator's word holds; longer than all of this takes."""
_SHADOW: Final = f"[shadow]\nshare = {SHARE}\nmin_s = 80000.0\n"
"""It goes on for as long as anybody measures."""


def measure_steered(model: Model, work: Path, *, scale: float) -> dict[str, Any]:
    """Measure on two devices, which are asked in turn: one has a candidate in the shadow.

    Args:
        model: What the devices serve.
        work: A directory for everything that is written.
        scale: Of the number of requests.
    """
    work.mkdir()
    device.publish([model], work)
    settings = work / "shadow.toml"
    settings.write_text(_SHADOW, encoding="utf-8")
    requests = max(ROUNDS, round(REQUESTS * scale))
    with ExitStack() as stack:
        port = stack.enter_context(host(work))
        alone = stack.enter_context(running_device(model, work, "a", port, "--poll-interval", 1e6))
        options = ("--poll-interval", 0.5, "--config", settings)
        shadowed = stack.enter_context(running_device(model, work, "b", port, *options))
        plain, beside = (stack.enter_context(_client(model, place)) for place in (alone, shadowed))
        decided_us = _decided_us(Steering(str(alone / "run/admin.sock")), plain, model, requests=requests)
        device.publish_version(model, work, version="1.1.0")
        while not _shadow(model, shadowed):
            time.sleep(0.05)
        latencies = measure_latencies({"0": plain.ask, str(SHARE): beside.ask}, requests=requests, rounds=ROUNDS)
        asked = _shadow(model, shadowed)["requests"]
    shadow_us = {share: p50_us(values) for share, values in latencies.items()}
    return {"model": model.name, "decided_us": decided_us, "shadow_us": shadow_us, "shadow_asked": asked}


def _decided_us(admin: Steering, client: Client, model: Model, *, requests: int) -> dict[str, float]:
    """Measure requests that no rule is about, and those that a rule decides, which the answer says; on one connection, in turn."""

    def latencies() -> list[float]:
        for _ in range(WARM_UP):
            client.ask()
        return [client.ask() for _ in range(max(1, requests // ROUNDS))]

    undecided: list[float] = []
    decided: list[float] = []
    for _ in range(ROUNDS):
        undecided += latencies()
        admin.override(model.name, Then(variants=("*",)), for_s=FOR_S, reason="measured")
        decided += latencies()
        admin.clear_overrides(None)
    return {"undecided": p50_us(undecided), "decided": p50_us(decided)}


@contextmanager
def _client(model: Model, place: Path) -> Iterator[Client]:
    with closing(Client(partial(unix_connection, device.socket_of(place)), binary_request(model))) as client:
        yield client


def _shadow(model: Model, place: Path) -> dict[str, Any]:
    """Return what the device says of its candidate in the shadow; empty when there is none."""
    status = json.loads(Admin(str(place / "run/admin.sock")).request("GET", "/edged/v1/status").body)
    for item in status["models"]:
        if item["name"] == model.name:
            return (item.get("candidate") or {}).get("shadow") or {}
    return {}


def print_steered(found: dict[str, Any]) -> None:
    """Print what was measured."""
    decided, shadow = found["decided_us"], found["shadow_us"]
    print(f"\n{'p50 of one client, us':24}{found['model']}")
    print(f"{'no rule, a rule':24}{decided['undecided']:.0f}, {decided['decided']:.0f} ({_more(*decided.values())})")
    print(
        f"{'shadow ' + ', '.join(shadow):24}{', '.join(f'{value:.0f}' for value in shadow.values())}"
        f" ({_more(*shadow.values())}; {found['shadow_asked']} were asked twice)"
    )


def _more(one: float, other: float) -> str:
    return f"{other / one - 1:+.1%}"
