"""What the CPU features of manifests mean in the names that Linux has for them. Pure.

Manifests name what a model's arithmetic gains from, alike on all architectures where it is alike; ``/proc/cpuinfo`` names instructions
(``flags`` on amd64, Documentation/arch/x86/cpuinfo.rst; ``Features`` on arm64, Documentation/arch/arm64/elf_hwcaps.rst). A feature is there
when all flags of any one of its alternatives are.
"""

from collections.abc import Mapping
from typing import Final

from edged.bundle.manifest import Architecture, CpuFeature

_Alternatives = tuple[frozenset[str], ...]


def _flags(*alternatives: str) -> _Alternatives:
    return tuple(frozenset(alternative.split()) for alternative in alternatives)


FLAGS: Final[Mapping[Architecture, Mapping[CpuFeature, _Alternatives]]] = {
    "amd64": {
        "sse4_2": _flags("sse4_2"),
        "avx": _flags("avx"),
        "avx2": _flags("avx2"),
        "fma": _flags("fma"),
        "f16c": _flags("f16c"),
        # What x86-64-v4 asks for (psABI, "Micro-Architecture Levels"); processors with less of it are accelerators of the past.
        "avx512": _flags("avx512f avx512bw avx512cd avx512dq avx512vl"),
        "vnni": _flags("avx512_vnni", "avx_vnni"),
        "fp16": _flags("avx512_fp16"),
        "bf16": _flags("avx512_bf16"),
        "amx": _flags("amx_tile amx_int8 amx_bf16"),
    },
    "arm64": {
        "neon": _flags("asimd"),
        "dotprod": _flags("asimddp"),
        "fp16": _flags("asimdhp"),
        "bf16": _flags("bf16"),
        "i8mm": _flags("i8mm"),
        "sve": _flags("sve"),
        "sve2": _flags("sve2"),
    },
}


def features_of(arch: str, cpuinfo: str) -> frozenset[CpuFeature]:
    """Return the features that every core has.

    Args:
        arch: Debian's name; features of others are not known to edged.
        cpuinfo: The text of ``/proc/cpuinfo``. Cores of a mixed machine are not all alike, and a worker may run on any of them.
    """
    known: Mapping[CpuFeature, _Alternatives] = next((table for name, table in FLAGS.items() if name == arch), {})
    cores = [
        frozenset(value.split())
        for key, _, value in (line.partition(":") for line in cpuinfo.splitlines())
        if key.strip() in {"flags", "Features"}
    ]
    flags = frozenset.intersection(*cores) if cores else frozenset[str]()
    return frozenset(name for name, alternatives in known.items() if any(wanted <= flags for wanted in alternatives))
