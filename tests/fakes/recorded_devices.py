"""Devices as ``umockdev-record`` would have recorded them, and what each must give.

``tests/devices/NAME.umockdev`` has the device's part of sysfs, ``NAME.toml`` where that is from, its ``/proc``, what changes before the
second look, and the context that has to come of it. The same recording is read by umockdev, which lets a program believe that it is its
own ``/sys``, and by ``write_tree``.
"""

import pickle
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from edged.sense.assemble import Assembled, History, assemble
from edged.sense.sysfs import Sensors

RECORDINGS = Path(__file__).parent.parent / "devices"
NAMES = tuple(sorted(path.stem for path in RECORDINGS.glob("*.umockdev")))
LOOK_S = 5.0


def recording(name: str) -> Path:
    return RECORDINGS / f"{name}.umockdev"


def about(name: str) -> Mapping[str, Mapping[str, object]]:
    return tomllib.loads((RECORDINGS / f"{name}.toml").read_text())


def write_tree(name: str, root: Path) -> None:
    """Write what is recorded to ``root/sys``, with the links by class that the kernel makes."""
    (root / "sys/class").mkdir(parents=True)
    for block in recording(name).read_text().strip().split("\n\n"):
        lines = [line.split(": ", 1) for line in block.splitlines()]
        device = root / "sys" / lines[0][1].lstrip("/")
        device.mkdir(parents=True, exist_ok=True)
        for kind, content in lines[1:]:
            key, _, value = content.partition("=")
            match kind:
                case "A":
                    (device / key).parent.mkdir(parents=True, exist_ok=True)
                    (device / key).write_text(value.replace("\\n", "\n"))
                case "L":
                    (device / key).symlink_to(value)
                case "E" if key == "SUBSYSTEM":
                    by_class = root / "sys/class" / value
                    by_class.mkdir(exist_ok=True)
                    (by_class / device.name).symlink_to(device)
                case "E":
                    with (device / "uevent").open("a") as file:
                        file.write(f"{content}\n")
                case _:
                    raise ValueError(f"{name}: {kind}: {content}")


def write_proc(name: str, root: Path) -> None:
    """Write the files of ``/proc``, which umockdev does not show."""
    for path, content in about(name)["proc"].items():
        (root / "proc" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "proc" / path).write_text(str(content))


def look_twice(name: str, sysfs: Path, procfs: Path) -> Assembled:
    """Look, let happen what is to happen, and look again."""
    sensors = Sensors(sysfs, procfs)
    try:
        first = assemble(sensors.look(), History(), now_s=1000.0)
        for path, content in about(name).get("then", {}).items():
            (sysfs / path).write_text(str(content))
        return assemble(sensors.look(), first.history, now_s=1000.0 + LOOK_S)
    finally:
        sensors.close()


def main() -> None:
    """Write what a device gives to stdout, as a program that umockdev runs: NAME PROCFS."""
    name, procfs = sys.argv[1:]
    sys.stdout.buffer.write(pickle.dumps(look_twice(name, Path("/sys"), Path(procfs))))


if __name__ == "__main__":
    main()
