"""Variants and manifests with as much in them as the matcher reads."""

from edged.bundle.manifest import RUNTIMES, Budget, FileEntry, Runtime, Targets, Variant
from edged.files import hash_bytes
from edged.pipeline.spec import TensorSpec


def variant(id_, *, tier="quality", precision="fp32", format_="onnx", version=">=1.20,<2", **targets) -> Variant:
    """Make a variant for any machine with ONNX Runtime, except for what is given."""
    spec = TensorSpec(name="x", dtype="FP32", shape=(1,))
    providers = {"providers": targets.pop("providers")} if "providers" in targets else {}
    return Variant(
        id=id_,
        tier=tier,
        precision=precision,
        format=format_,
        files=(FileEntry(path=f"{id_}.{format_}", role="model", sha256=hash_bytes(b""), size=0),),
        targets=Targets(**{"arch": ("amd64", "arm64"), **targets}),
        runtime=Runtime(name=RUNTIMES[format_], version=version, **providers),
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
