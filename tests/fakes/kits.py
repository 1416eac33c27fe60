"""Manifests around kits, and verdicts, for tests that run nothing."""

from collections.abc import Sequence

from edged.bundle.kit import Golden, Sample
from edged.bundle.manifest import FileEntry, Manifest, MetricLimit, Provenance, Tolerance, Validation
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.spec import Datatype, TensorSpec
from tests.fakes.workers import spec_of, variant_of

VARIANT = variant_of(b"model", [spec_of("x", "INT32", (1,))], [spec_of("length", "FP32", (1,))])


def manifest_of(
    outputs: Sequence[TensorSpec],
    tolerance: Sequence[Tolerance],
    *,
    samples: Sequence[str] = (),
    metrics: Sequence[MetricLimit] = (),
) -> Manifest:
    """Return the manifest of ``tiny`` 1.0.0, whose one input is a file and whose samples are these files."""
    files = [_entry("kit.json", "kit"), _entry("sbom.json", "sbom"), *(_entry(path, "sample") for path in samples)]
    return Manifest(
        schema=1,
        name="tiny",
        version="1.0.0",
        min_edged="0.1.0",
        variants=(VARIANT,),
        files=tuple(files),
        pipeline=Pipeline(inputs=(spec_of("content", "BYTES", (1,)),), outputs=tuple(outputs)),
        validation=Validation(kit="kit.json", tolerance=tuple(tolerance), metrics=tuple(metrics)),
        sbom="sbom.json",
        provenance=Provenance(source="made here", licence="Apache-2.0"),
    )


def sample_of(name: str, *data: float | str, dtype: Datatype = "FP32", output: str = "length") -> Sample:
    """Return a sample with one golden output."""
    golden = Golden(name=output, dtype=dtype, shape=(len(data),), data=data)
    return Sample(name=name, input=f"samples/{name}", golden=(golden,))


def _entry(path: str, role: str) -> FileEntry:
    return FileEntry(path=path, role=role, sha256="0" * 64, size=1)
