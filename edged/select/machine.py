"""What this machine is: the facts that decide which variants can run on it."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.bundle.manifest import Accelerator, Architecture

# What uname(2) calls the architectures that Debian calls amd64 and arm64.
_ARCHITECTURES: Final[dict[str, Architecture]] = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Facts about a machine that do not change while it runs."""

    arch: str
    """Debian's name, or uname's where Debian's is not known to edged."""
    memory_bytes: int
    accelerators: frozenset[Accelerator]
    cpu_features: frozenset[str]
    """Names as in /proc/cpuinfo: ``flags`` on amd64, ``Features`` on arm64."""


def read_machine(root: Path = Path("/")) -> Machine:
    """Read the facts of this machine.

    Args:
        root: Where /proc is found; another directory in tests.
    """
    machine = platform.machine()
    return Machine(
        arch=_ARCHITECTURES.get(machine, machine),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        accelerators=frozenset({"cpu"}),  # ONNX Runtime in Debian has no other provider that needs one
        cpu_features=_cpu_features(root / "proc/cpuinfo"),
    )


def _cpu_features(path: Path) -> frozenset[str]:
    """Take the features of the first core: Linux lists what all cores share on amd64; mixed arm64 cores are alike in features."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in {"flags", "Features"}:
            return frozenset(value.split())
    return frozenset()
