"""What it costs a device to know itself, and how fast it acts on it: a look at the sensors, the service at rest, a plug that is pulled.

The sensors are files like those of a laptop; the kernel's messages, which tell that one has changed, are real, and only root may ask for
them.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench import device
from bench.measure import p50_us
from bench.models import Model
from bench.processes import tree_of, wait_until
from edged.cli.http import Client as Asker
from edged.client import Client
from edged.clock import SystemClock
from edged.daemon.senses.network import unknown_network
from edged.daemon.senses.own import Own
from edged.daemon.senses.senses import Senses
from edged.daemon.senses.sight import Sight
from edged.sense.sysfs import PROCFS, Sensors

LOOKS: Final = 400
REST_S: Final = 30.0
PULLS: Final = 20
POLL_S: Final = 10.0
"""The longest there is: what is noticed sooner was not noticed by a poll."""
UEVENT: Final = Path("/sys/devices/system/cpu/cpu0/uevent")
"""What root writes here the kernel tells everybody, as if it had happened."""
DECISIONS: Final = "/edged/v1/decisions"
SUPERVISOR: Final = "dev"
"""Stands in for the service manager, and is no part of the service."""
_NS: Final = 1e-9

_RULES: Final = """\
schema = 1
name = "bench"

[[rule]]
name = "unplugged"
when = [{ power = "battery" }]
then = { scale = 0.5 }
"""


def measure_awareness(model: Model, work: Path, *, scale: float) -> dict[str, Any]:
    """Measure with one small model.

    Args:
        model: What the device serves.
        work: A directory for everything that is written.
        scale: Of the number of looks and the time of rest.
    """
    work.mkdir()
    sysfs = _made_up_laptop(work / "sys")
    found: dict[str, Any] = {"look_cpu_us": asyncio.run(_look_cpu_us(sysfs, looks=max(20, round(LOOKS * scale))))}
    device.publish([model], work)
    place, log, settings = work / "device", work / "device.log", work / "sense.toml"
    device.fetch_all([model], work, place)
    (work / "policy.toml").write_text(_RULES)
    settings.write_text(
        f'[sense]\nsysfs = "{sysfs}"\npoll_s = {POLL_S}\n[policy]\nfile = "{work}/policy.toml"\n', encoding="utf-8"
    )
    with device.edged(place, work, log, "--config", settings) as process:
        wait_until(lambda: model.name in device.answering(place), "edged", process, log)
        with Client(str(device.socket_of(place)), tensor_path=None) as client:
            client.infer(model.name, dict(model.inputs))
            found["pull_ms"] = list(_pull_ms(sysfs, place)) if os.access(UEVENT, os.W_OK) else []
    settings.write_text(f'[sense]\nsysfs = "{sysfs}"\n', encoding="utf-8")
    with device.edged(place, work, log, "--config", settings) as process:
        wait_until(lambda: model.name in device.answering(place), "edged", process, log)
        found["rest"] = _rest(process.pid, seconds=max(5.0, REST_S * scale))
    return found


async def _look_cpu_us(sysfs: Path, *, looks: int) -> float:
    """Return what a look takes of the processor, in all threads."""
    clock = SystemClock()
    own = Own(
        clock=clock,
        idle_s=lambda: 0.0,
        trusted_unix_s=lambda: 0.0,
        network=lambda: unknown_network("measured without a gate"),
        flags=dict,
        regulatory=lambda: "standard",
        labels={},
    )
    senses = Senses(sight=Sight(Sensors(sysfs, PROCFS), clock), own=own, clock=clock, poll_s=lambda: POLL_S)
    # The first looks open files, which the others find open.
    for _ in range(5):
        await senses.refresh()
    times = []
    for _ in range(looks):
        began_s = time.process_time()
        await senses.refresh()
        times.append(time.process_time() - began_s)
    return p50_us(times)


def _pull_ms(sysfs: Path, place: Path) -> Iterator[float]:
    """Unplug the device and plug it in again, again and again; yields the milliseconds until another rule decides."""
    asker = Asker(str(device.socket_of(place)))
    for number in range(PULLS):
        is_in = bool(number % 2)
        begun_s = time.perf_counter()
        _plug(sysfs, is_in=is_in)
        UEVENT.write_text("change")
        while _is_unplugged(asker) == is_in:
            time.sleep(0.001)
        yield (time.perf_counter() - begun_s) * 1e3
        # Looks that follow each other closely are kept apart, which is not what is measured.
        time.sleep(0.3)


def _is_unplugged(asker: Asker) -> bool:
    decided = json.loads(asker.request("GET", DECISIONS).body)["decisions"]
    return any(decision["rule"] == "unplugged" for decision in decided)


def _rest(pid: int, *, seconds: float) -> dict[str, float]:
    """Return the share of one processor that each process takes while nobody asks for anything, by name and number, in percent."""
    # What starting has left to do is done.
    time.sleep(5.0)
    before = _run_s(pid)
    time.sleep(seconds)
    after = _run_s(pid)
    del after[f"{SUPERVISOR}[{pid}]"]
    return {name: (after[name] - before.get(name, 0.0)) / seconds * 100 for name in after}


def _run_s(pid: int) -> dict[str, float]:
    """Return how long the processes of a tree have run, all threads together."""
    found = {}
    for member in tree_of(pid):
        threads = Path(f"/proc/{member}/task").glob("*/schedstat")
        found[f"{_name(member)}[{member}]"] = sum(int(thread.read_text().split()[0]) for thread in threads) * _NS
    return found


def _name(pid: int) -> str:
    """Return the verb of a service, and what any other process calls itself."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return words[words.index("edged") + 1] if "edged" in words else Path(f"/proc/{pid}/comm").read_text().strip()


def _made_up_laptop(root: Path) -> Path:
    """Write eight thermal zones, four monitors with four temperatures each, eight processors, a plug and a battery."""
    for number in range(8):
        zone = f"class/thermal/thermal_zone{number}"
        _write(root / zone, type="x86_pkg_temp", temp=f"{45000 + number * 137}")
        _write(root / zone, trip_point_0_type="passive", trip_point_0_temp="95000")
        _write(root / zone, trip_point_1_type="critical", trip_point_1_temp="105000")
    for number in range(4):
        monitor = root / f"class/hwmon/hwmon{number}"
        _write(monitor, name="coretemp")
        for sensor in range(1, 5):
            _write(monitor, **{f"temp{sensor}_input": f"{44000 + sensor * 211}", f"temp{sensor}_crit": "100000"})
    for number in range(8):
        _write(root / f"devices/system/cpu/cpu{number}/cpufreq", scaling_cur_freq="1800000", cpuinfo_max_freq="3600000")
    _write(root / "class/power_supply/AC", type="Mains")
    _write(root / "class/power_supply/BAT0", type="Battery", capacity="80")
    _plug(root, is_in=True)
    return root


def _plug(root: Path, *, is_in: bool) -> None:
    _write(root / "class/power_supply/AC", online=str(int(is_in)))
    _write(root / "class/power_supply/BAT0", status="Charging" if is_in else "Discharging")


def _write(directory: Path, **attributes: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, value in attributes.items():
        (directory / name).write_text(f"{value}\n", encoding="ascii")


def print_awareness(found: dict[str, Any]) -> None:
    """Print what was measured."""
    pulls, rest = sorted(found["pull_ms"]), found["rest"]
    print(f"\n{'a look at the sensors':24}{found['look_cpu_us'] / 1e3:.2f} ms of one processor")
    print(f"{'at rest':24}{sum(rest.values()):.3f} % of one processor ({_shares(rest)})")
    told = f"p50 {pulls[len(pulls) // 2]:.0f} ms, at most {pulls[-1]:.0f} ms" if pulls else "only root can measure it"
    print(f"{'unplugged to decided':24}{told}")


def _shares(rest: dict[str, float]) -> str:
    return ", ".join(f"{name.partition('[')[0]} {share:.3f}" for name, share in rest.items())
