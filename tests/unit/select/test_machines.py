"""What real machines run: their /proc/cpuinfo in the form Linux gives it, the memory they report, and the variants in their order."""

from pathlib import Path

import pytest

from edged.select.features import features_of
from edged.select.machine import Machine
from edged.select.matcher import usable_variants
from tests.fakes.variants import FakeManifest, variant

CPUINFO = Path(__file__).parents[2] / "golden/machines"
MIB, GIB = 1 << 20, 1 << 30

# A detector built for everything at once. Ids say tier and precision; those after them what is asked of the machine.
BUNDLE = FakeManifest(
    variant("memory-int8", tier="memory", precision="int8"),
    variant("speed-int8", tier="speed", precision="int8", min_memory_bytes=GIB),
    variant("speed-int8-dotprod", tier="speed", precision="int8", arch=("arm64",), cpu_features=("dotprod",)),
    variant("speed-int8-vnni", tier="speed", precision="int8", arch=("amd64",), cpu_features=("avx2", "vnni")),
    variant("speed-bf16-amx", tier="speed", precision="bf16", arch=("amd64",), cpu_features=("amx",)),
    variant("speed-fp16", tier="speed", precision="fp16", arch=("arm64",), cpu_features=("neon",)),
    variant("speed-fp32-avx2", tier="speed", arch=("amd64",), cpu_features=("avx2", "fma")),
    variant("quality-fp32", min_memory_bytes=3 * GIB),
    variant("engine", format_="tensorrt", version=">=8.5", arch=("arm64",), accelerators=("gpu",)),
)

OLD_INTEL = {"sse4_2"}
A76 = {"neon", "dotprod", "fp16"}

# name: (architecture, MemTotal in MiB, features, variants best first). The memory is what such machines report, below what they are
# sold with: firmware, graphics and the kernel itself keep 2 to 12 % of it.
MACHINES = {
    "raspberry-pi-4": ("arm64", 3793, {"neon"}, "quality-fp32 speed-fp16 speed-int8 memory-int8"),
    "raspberry-pi-5": (
        "arm64", 8052, A76, "quality-fp32 speed-int8-dotprod speed-int8 speed-fp16 memory-int8",
    ),
    "jetson-nano": ("arm64", 3964, {"neon"}, "quality-fp32 speed-fp16 speed-int8 memory-int8"),
    "jetson-orin-nano": (
        "arm64", 7620, A76, "quality-fp32 speed-int8-dotprod speed-int8 speed-fp16 memory-int8",
    ),
    "imx8m-plus": ("arm64", 1926, {"neon"}, "speed-fp16 speed-int8 memory-int8"),
    "rk3588": (
        "arm64", 15960, A76, "quality-fp32 speed-int8-dotprod speed-int8 speed-fp16 memory-int8",
    ),
    "graviton-3": (
        "arm64", 7700, A76 | {"i8mm", "bf16", "sve"},
        "quality-fp32 speed-int8-dotprod speed-int8 speed-fp16 memory-int8",
    ),
    "atom-e3845": ("amd64", 1885, OLD_INTEL, "speed-int8 memory-int8"),
    "celeron-j1900": ("amd64", 3822, OLD_INTEL, "quality-fp32 speed-int8 memory-int8"),
    "core-i5-4570": (
        "amd64", 7850, OLD_INTEL | {"avx", "avx2", "fma", "f16c"}, "quality-fp32 speed-fp32-avx2 speed-int8 memory-int8",
    ),
    "n100": (
        "amd64", 15786, OLD_INTEL | {"avx", "avx2", "fma", "f16c", "vnni"},
        "quality-fp32 speed-int8-vnni speed-int8 speed-fp32-avx2 memory-int8",
    ),
    "xeon-4410y": (
        "amd64", 257_000,
        OLD_INTEL | {"avx", "avx2", "fma", "f16c", "avx512", "vnni", "amx", "fp16", "bf16"},
        "quality-fp32 speed-int8-vnni speed-int8 speed-bf16-amx speed-fp32-avx2 memory-int8",
    ),
    "virtual-qemu64": ("amd64", 969, set(), "memory-int8"),
}  # fmt: skip


def cpuinfo_of(name):
    return (CPUINFO / f"{name}.cpuinfo").read_text()


def test_every_text_in_the_directory_is_of_a_machine_in_the_table():
    assert {path.stem for path in CPUINFO.glob("*.cpuinfo")} == set(MACHINES)


@pytest.mark.parametrize("name", MACHINES)
def test_features_of_a_machine_have_portable_names(name):
    arch, _, features, _ = MACHINES[name]

    assert features_of(arch, cpuinfo_of(name)) == features


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_gets_its_variants_best_first(name):
    arch, memory_mib, _, expected = MACHINES[name]
    machine = Machine(
        arch=arch,
        memory_bytes=memory_mib * MIB,
        cpu_features=features_of(arch, cpuinfo_of(name)),
        runtimes={"onnxruntime": "1.21.0"},
    )

    assert [v.id for v in usable_variants(BUNDLE, machine)] == expected.split()


def test_features_are_those_that_all_cores_have():
    """On a mixed machine, a worker may run on any core."""
    big = "processor\t: 0\nFeatures\t: asimd asimddp\n"
    little = "processor\t: 1\nFeatures\t: asimd\n"

    assert features_of("arm64", big) == {"neon", "dotprod"}
    assert features_of("arm64", f"{big}\n{little}") == {"neon"}


@pytest.mark.parametrize(
    ("arch", "text"), [("amd64", ""), ("arm64", "Features: "), ("riscv64", "flags: avx2"), ("amd64", "Features: avx2x")]
)
def test_what_is_not_known_is_no_feature(arch, text):
    assert features_of(arch, text) == set()


def test_flags_of_virtualisation_are_not_the_cpus():
    assert features_of("amd64", "flags\t\t: fpu\nvmx flags\t: avx2\n") == set()
