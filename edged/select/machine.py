"""What a machine is: the facts that decide which variants can run on it."""

import os
import platform
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import msgspec

from edged.bundle.manifest import Accelerator, Architecture, ByteCount, CpuFeature, RuntimeName
from edged.codec import Document
from edged.select.features import features_of

# What uname(2) calls the architectures that Debian calls amd64 and arm64.
_ARCHITECTURES: Final[dict[str, Architecture]] = {"x86_64": "amd64", "aarch64": "arm64"}
CPU_PROVIDER: Final = "CPUExecutionProvider"
_VERSION: Final = re.compile(rb'^__version__ = "([0-9A-Za-z.+-]+)"', re.MULTILINE)


class Machine(Document, frozen=True, kw_only=True):
    """Facts about a machine that do not change while it runs. A document, so that one machine can be judged on another."""

    arch: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """Debian's name, or uname's where Debian's is not known to edged."""
    memory_bytes: ByteCount
    """What the kernel can use, ``MemTotal``: 2 to 12 % less than the size a machine is sold with, more where graphics share it."""
    accelerators: frozenset[Accelerator] = frozenset({"cpu"})
    cpu_features: frozenset[CpuFeature] = frozenset()
    """In the portable names of manifests; ``edged.select.features`` has the flags they stand for."""
    runtimes: Mapping[RuntimeName, str] = {}
    """The runtimes that edged can use here, with their versions."""
    providers: frozenset[str] = frozenset({CPU_PROVIDER})
    """The execution providers of ONNX Runtime."""


def read_machine(root: Path = Path("/")) -> Machine:
    """Read the facts of this machine.

    Args:
        root: Where /proc is found; another directory in tests.
    """
    name = platform.machine()
    arch = _ARCHITECTURES.get(name, name)
    try:
        cpuinfo = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        cpuinfo = ""
    return Machine(
        arch=arch,
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        cpu_features=features_of(arch, cpuinfo),
        runtimes=_runtimes(),
    )


def _runtimes() -> Mapping[RuntimeName, str]:
    """Find the versions of the runtimes that edged has a backend for, so far ONNX Runtime.

    Importing it would cost a process 40 MB, and asking for its distribution's metadata 3 MB; its first lines say it as well.
    """
    spec = find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return {}
    try:
        match = _VERSION.search(Path(spec.origin).read_bytes())
    except OSError:
        return {}
    return {} if match is None else {"onnxruntime": match[1].decode()}
