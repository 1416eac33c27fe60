"""Which variant a machine runs, and what it is told about the others."""

import pytest

from edged.bundle.manifest import Budget, FileEntry, Runtime, Targets, Variant
from edged.errors import IncompatibleError
from edged.files import hash_bytes
from edged.pipeline.spec import TensorSpec
from edged.select.machine import Machine, read_machine
from edged.select.matcher import choose_variant, misfits, usable_variants

GIB = 1 << 30
INTEL = Machine(
    arch="amd64", memory_bytes=8 * GIB, accelerators=frozenset({"cpu"}), cpu_features=frozenset({"sse4_2", "avx2"})
)
PI = Machine(arch="arm64", memory_bytes=2 * GIB, accelerators=frozenset({"cpu"}), cpu_features=frozenset({"asimd"}))


def variant(id_, *, tier="quality", precision="fp32", format_="onnx", **targets) -> Variant:
    spec = TensorSpec(name="x", dtype="FP32", shape=(1,))
    return Variant(
        id=id_,
        tier=tier,
        precision=precision,
        format=format_,
        files=(FileEntry(path=f"{id_}.onnx", role="model", sha256=hash_bytes(b""), size=0),),
        targets=Targets(**{"arch": ("amd64", "arm64"), **targets}),
        runtime=Runtime(name="onnxruntime", version=">=1.20"),
        inputs=(spec,),
        outputs=(spec,),
        budget=Budget(latency_ms=10, memory_bytes=1 << 20),
    )


class FakeManifest:
    """As much of a manifest as the matcher reads."""

    name = "m"
    version = "1.0.0"

    def __init__(self, *variants):
        self.variants = variants


@pytest.mark.parametrize(
    ("candidate", "machine", "reason"),
    [
        (variant("v"), INTEL, None),
        (variant("v", arch=("arm64",)), INTEL, "built for arm64, this machine is amd64"),
        (variant("v", accelerators=("gpu", "npu")), INTEL, "needs gpu or npu, this machine has cpu"),
        (variant("v", min_memory_bytes=4 * GIB), PI, f"needs {4 * GIB} bytes of memory, this machine has {2 * GIB}"),
        (variant("v", cpu_features=("avx2", "avx512_vnni")), INTEL, "needs CPU features avx512_vnni"),
        (variant("v", format_="tensorrt"), INTEL, "format tensorrt has no runtime here"),
    ],
)
def test_each_misfit_has_its_reason(candidate, machine, reason):
    assert misfits(candidate, machine) == (() if reason is None else (reason,))


def test_best_tier_then_widest_precision_comes_first():
    small = variant("small", tier="memory", precision="int8")
    fast = variant("fast", tier="speed", precision="int8")
    wide = variant("wide", tier="speed", precision="fp16")
    best = variant("best")

    assert [v.id for v in usable_variants(FakeManifest(small, fast, wide, best), PI)] == [
        "best",
        "wide",
        "fast",
        "small",
    ]


def test_decision_names_every_rejected_variant_with_its_reasons():
    decision = choose_variant(FakeManifest(variant("gpu", accelerators=("gpu",)), variant("a"), variant("b")), PI)

    assert decision.variant.id == "a"
    assert {r.variant: r.reasons for r in decision.rejected} == {
        "gpu": ("needs gpu, this machine has cpu",),
        "b": ("a comes first",),
    }


def test_variant_whose_files_are_not_here_is_passed_over():
    best, second = variant("best"), variant("second", tier="memory")

    decision = choose_variant(FakeManifest(best, second), PI, present=[second])

    assert decision.variant.id == "second"
    assert decision.rejected[0].reasons == ("its files are not on this device",)


def test_machine_that_nothing_fits_is_told_why_for_each_variant():
    with pytest.raises(IncompatibleError, match=r"big: needs .* bytes of memory.*; gpu: needs gpu"):
        choose_variant(
            FakeManifest(variant("big", min_memory_bytes=64 * GIB), variant("gpu", accelerators=("gpu",))), PI
        )


@pytest.mark.parametrize(
    ("cpuinfo", "features"),
    [
        ("processor\t: 0\nflags\t\t: fpu sse avx2\n\nprocessor\t: 1\nflags\t\t: fpu\n", {"fpu", "sse", "avx2"}),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp\n", {"fp", "asimd", "asimddp"}),
        (None, set()),
    ],
    ids=["amd64", "arm64", "no /proc"],
)
def test_cpu_features_are_read_from_the_first_core(tmp_path, cpuinfo, features):
    if cpuinfo is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/cpuinfo").write_text(cpuinfo)

    assert read_machine(tmp_path).cpu_features == features
