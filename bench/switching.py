"""How fast another variant answers: from an administrator's word to its first answer, on a device with real processes."""

import json
import time
from pathlib import Path
from typing import Any, Final

from bench import device
from bench.models import Model
from bench.processes import wait_until
from edged.cli.http import Client as Admin
from edged.client import Client

SWITCHES: Final = 20
FOR_S: Final = 600.0
"""How long an administrator's word holds; longer than all of this takes."""

_SCARCE: Final = "[variants]\nreserve_percent = 90.0\n"
"""Nothing is loaded next to what answers; a machine of which most is in use would do the same without it."""


def measure_switching(model: Model, work: Path, *, scale: float) -> dict[str, Any]:
    """Measure the first switch, for which a variant is loaded and validated, those between loaded ones, and those for which one has to go.

    Args:
        model: What the device serves.
        work: A directory for everything that is written.
        scale: Of the number of switches.
    """
    work.mkdir()
    device.edge_publish("init", work / "repo", "--keys", work / "keys")
    device.publish_version(model, work, more=device.SECOND_VARIANT)
    place, log = work / "device", work / "device.log"
    device.fetch_all([model], work, place)
    count = max(2, round(SWITCHES * scale))
    first_ms, *warm_ms = _switches(model, place, log, count=1 + count)
    scarce = work / "scarce.toml"
    scarce.write_text(_SCARCE, encoding="utf-8")
    _, *cold_ms = _switches(model, place, log, "--config", scarce, count=1 + count)
    return {"model": model.name, "first_ms": first_ms, "warm_ms": warm_ms, "cold_ms": cold_ms}


def _switches(model: Model, place: Path, log: Path, *options: object, count: int) -> list[float]:
    """Run the device and switch it so often; returns how many milliseconds each switch took."""
    with device.edged(place, place.parent, log, *options) as process:
        wait_until(lambda: model.name in device.answering(place), "edged", process, log)
        admin = Admin(str(place / "run/admin.sock"))
        with Client(str(device.socket_of(place)), tensor_path=None) as client:
            return [_switch(admin, client, model, ("int8", "fp32")[number % 2]) for number in range(count)]


def _switch(admin: Admin, client: Client, model: Model, precision: str) -> float:
    """Say which variant is to answer, and return after how many milliseconds it did."""
    word = {"model": model.name, "then": {"variants": [precision]}, "for_s": FOR_S, "reason": "measured"}
    begun_s = time.perf_counter()
    admin.request("POST", "/edged/v1/policy/override", body=json.dumps(word).encode())
    while f"-{precision}-" not in client.infer(model.name, dict(model.inputs)).variant:
        time.sleep(0.0005)
    return (time.perf_counter() - begun_s) * 1e3


def print_switching(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(f"\n{'another variant answers':24}{found['model']}, from an administrator's word to the first answer")
    print(f"{'loaded and validated':24}{found['first_ms']:.0f} ms")
    for what, times in (("loaded already", found["warm_ms"]), ("in the other's place", found["cold_ms"])):
        times.sort()
        print(f"{what:24}p50 {times[len(times) // 2]:.1f} ms, at most {times[-1]:.1f} ms")
