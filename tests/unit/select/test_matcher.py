"""Which variant a machine runs, and what it is told about the others."""

import msgspec
import pytest

from edged.errors import IncompatibleError
from edged.select.machine import Machine
from edged.select.matcher import choose_variant, misfits, usable_variants
from tests.fakes.variants import FakeManifest, variant

GIB = 1 << 30
ORT = {"onnxruntime": "1.21.0"}
INTEL = Machine(arch="amd64", memory_bytes=8 * GIB, cpu_features=frozenset({"sse4_2", "avx2"}), runtimes=ORT)
PI = Machine(arch="arm64", memory_bytes=2 * GIB, cpu_features=frozenset({"neon"}), runtimes=ORT)


@pytest.mark.parametrize(
    ("candidate", "machine", "reasons"),
    [
        (variant("v"), INTEL, []),
        (variant("v", arch=("arm64",)), INTEL, ["built for arm64, this machine is amd64"]),
        (
            variant("v", arch=("arm64",), cpu_features=("dotprod",)),
            INTEL,
            ["built for arm64, this machine is amd64"],
        ),
        (variant("v", accelerators=("gpu", "npu")), INTEL, ["needs gpu or npu, this machine has cpu"]),
        (variant("v", min_memory_bytes=4 * GIB), PI, ["needs 4.0 GiB of memory, this machine has 2.0 GiB"]),
        (variant("v", cpu_features=("avx2", "vnni", "amx")), INTEL, ["needs the CPU to have amx and vnni"]),
        (variant("v", version=">=1.22"), INTEL, ["needs onnxruntime >=1.22, this machine has 1.21.0"]),
        (variant("v", version=">=1.15,<1.21"), INTEL, ["needs onnxruntime >=1.15,<1.21, this machine has 1.21.0"]),
        (
            variant("v", providers=("CUDAExecutionProvider",)),
            INTEL,
            ["needs CUDAExecutionProvider, this machine's onnxruntime has CPUExecutionProvider"],
        ),
        (
            variant("v", format_="tensorrt", version=">=8.5", accelerators=("gpu",)),
            INTEL,
            [
                "format tensorrt is run by tensorrt, which edged does not have here",
                "needs gpu, this machine has cpu",
            ],
        ),
        (
            variant("v"),
            msgspec.structs.replace(INTEL, runtimes={}),
            ["format onnx is run by onnxruntime, which edged does not have here"],
        ),
    ],
)
def test_each_misfit_has_its_reason(candidate, machine, reasons):
    assert list(misfits(candidate, machine)) == reasons


def test_best_tier_comes_first_and_precision_decides_by_what_the_tier_is_about():
    """Quality wants bits, memory wants few; on a CPU that only converts narrow numbers, speed wants what is converted least."""
    names = [f"{t}-{p}" for t in ("memory", "speed", "quality") for p in ("int4", "int8", "fp16", "bf16", "fp32")]
    variants = [variant(name, tier=name.split("-")[0], precision=name.split("-")[1]) for name in names]

    order = " ".join(v.id for v in usable_variants(FakeManifest(*variants), PI))
    assert order == (
        "quality-fp32 quality-fp16 quality-bf16 quality-int8 quality-int4"
        " speed-fp32 speed-fp16 speed-bf16 speed-int8 speed-int4"
        " memory-int4 memory-int8 memory-fp16 memory-bf16 memory-fp32"
    )


@pytest.mark.parametrize(
    ("features", "best"),
    [
        (set(), "fp32"),
        ({"dotprod"}, "int8"),
        ({"i8mm"}, "int8"),
        ({"vnni"}, "int8"),
        ({"amx"}, "int8"),
        ({"fp16"}, "fp16"),
        ({"bf16"}, "bf16"),
        ({"fp16", "dotprod"}, "int8"),
        ({"avx2"}, "fp32"),
    ],
)
def test_for_speed_the_narrowest_numbers_that_the_cpu_multiplies_itself_come_first(features, best):
    variants = [variant(p, tier="speed", precision=p) for p in ("fp32", "bf16", "fp16", "int8")]
    machine = msgspec.structs.replace(PI, cpu_features=frozenset(features))

    assert usable_variants(FakeManifest(*variants), machine)[0].id == best


def test_of_equal_ones_the_one_for_fewer_machines_comes_first_then_the_earlier():
    variants = [
        variant("any"),
        variant("any-2"),
        variant("intel", arch=("amd64",)),
        variant("avx2", arch=("amd64",), cpu_features=("avx2",)),
    ]

    assert [v.id for v in usable_variants(FakeManifest(*variants), INTEL)] == ["avx2", "intel", "any", "any-2"]


def test_decision_names_every_rejected_variant_with_its_reasons():
    bundle = FakeManifest(
        variant("gpu", accelerators=("gpu",)),
        variant("a"),
        variant("b"),
        variant("half", precision="fp16"),
        variant("small", tier="memory"),
        variant("a-pi", arch=("arm64",)),
    )

    decision = choose_variant(bundle, PI)

    assert decision.variant.id == "a-pi"
    assert {r.variant: r.reasons for r in decision.rejected} == {
        "gpu": ("needs gpu, this machine has cpu",),
        "a": ("a-pi comes first: it is made for fewer machines",),
        "b": ("a-pi comes first: it is made for fewer machines",),
        "half": ("a-pi comes first: for quality, fp32 comes before fp16 on this machine",),
        "small": ("a-pi comes first: tier quality comes before memory",),
    }
    assert choose_variant(FakeManifest(variant("a"), variant("b")), PI).rejected[0].reasons == (
        "a comes first: it is earlier in the manifest",
    )


def test_variant_whose_files_are_not_here_is_passed_over():
    best, second = variant("best"), variant("second", tier="memory")

    decision = choose_variant(FakeManifest(best, second), PI, present=[second])

    assert decision.variant.id == "second"
    assert decision.rejected[0].reasons == ("its files are not on this device",)


def test_machine_that_nothing_fits_is_told_why_for_each_variant():
    with pytest.raises(IncompatibleError, match=r"big: needs .* of memory.*; gpu: needs gpu"):
        choose_variant(
            FakeManifest(variant("big", min_memory_bytes=64 * GIB), variant("gpu", accelerators=("gpu",))), PI
        )
