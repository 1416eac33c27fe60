"""Runs a bundle's validation kit: the same on the device before a model is activated and at the publisher's before it is signed."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from edged.bundle.kit import Kit, Sample, SampleInput, mistake, mistake_in_inputs
from edged.bundle.manifest import Manifest, Variant
from edged.codec import decode_json
from edged.errors import (
    BackendError,
    BundleError,
    DeadlineError,
    ManifestError,
    StoreError,
    TensorError,
    WorkerLostError,
)
from edged.files import read_limited
from edged.pipeline.datatypes import NUMBERS, pack, pack_bytes
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import InferResult, Tensor
from edged.validation.comparison import Difference, compare

MAX_KIT_BYTES: Final = 64 << 20
MAX_SAMPLE_BYTES: Final = 64 << 20


class Infers(Protocol):
    """Something that answers requests: a worker, or a fake."""

    async def infer(self, inputs: Sequence[Tensor], outputs: Sequence[str] = (), *, timeout_s: float) -> InferResult:
        """Run one request; see ``edged.host.template.Worker.infer``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a validation found."""

    passed: bool
    differences: tuple[Difference, ...]
    """Every output beyond its tolerance, and every sample that got an error instead of an answer."""
    latency_p50_ms: float
    """Median of the worker's own time for a sample, pipeline included; waiting and transport are not in it."""
    budget_ms: float
    samples: int

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass, for people; empty when it did."""
        reasons = [str(difference) for difference in self.differences]
        if self.latency_p50_ms > self.budget_ms:
            reasons.append(f"median latency is {self.latency_p50_ms:.1f} ms, the budget {self.budget_ms:.1f} ms")
        return tuple(reasons)


async def validate(
    model: Infers, directory: Path, manifest: Manifest, variant: Variant, *, timeout_s: float
) -> Verdict:
    """Run every sample of a bundle's kit and judge the answers.

    Args:
        model: Has the variant loaded.
        directory: Holds the bundle's files at the manifest's paths; verified.
        manifest: Of the bundle.
        variant: Whose budget applies.
        timeout_s: Longest wait for one sample.

    Returns:
        The verdict. It fails on any difference, and when the median latency is above the publisher's budget; one slow sample on a
        busy machine does not fail it.

    Raises:
        ManifestError: The kit is not a kit.
        BundleError: The kit does not fit the manifest.
        StoreError: A file is missing or too large.
        DeadlineError: A sample took too long.
        WorkerLostError: The worker ended during a sample.
    """
    kit = read_kit(directory, manifest)
    differences: list[Difference] = []
    times_s = []
    for sample in kit.samples:
        request = read_sample(directory, manifest, sample)
        try:
            result = await model.infer(request, (), timeout_s=timeout_s)
        except (DeadlineError, WorkerLostError):
            raise
        except (TensorError, BundleError, BackendError) as exc:
            differences += [
                Difference(sample=sample.name, output=g.name, reason=f"got {exc.code}: {exc}") for g in sample.golden
            ]
            continue
        times_s.append(result.run_s)
        outputs = {tensor.name: tensor for tensor in result.outputs}
        differences += compare(sample, outputs, manifest.validation.tolerance)
    p50_ms = statistics.median(times_s) * 1000 if times_s else 0.0
    budget_ms = variant.budget.latency_ms
    return Verdict(
        passed=not differences and p50_ms <= budget_ms,
        differences=tuple(differences),
        latency_p50_ms=p50_ms,
        budget_ms=budget_ms,
        samples=len(kit.samples),
    )


def read_kit(directory: Path, manifest: Manifest) -> Kit:
    """Read a bundle's kit and check that it can be run on the bundle's pipeline.

    Raises:
        ManifestError: It is not a kit.
        BundleError: It does not fit the bundle, as ``check_kit`` finds.
        StoreError: It cannot be read.
    """
    path = directory / manifest.validation.kit
    kit = decode_json(Kit, _read(path, MAX_KIT_BYTES), source=str(path), error=ManifestError)
    check_kit(kit, manifest, source=str(path))
    return kit


def check_kit(kit: Kit, manifest: Manifest, *, source: str) -> None:
    """Check that a kit can be run on a bundle's pipeline, and that its golden data are tensors of the pipeline's outputs.

    Raises:
        BundleError: It is not so; ``source`` is what the kit is called in the message.
    """
    # A file the manifest does not list is not verified, and so not evidence.
    listed = {entry.path for entry in manifest.files if entry.role == "sample"}
    outputs = {spec.name: spec.dtype for spec in manifest.pipeline.outputs}
    for sample in kit.samples:
        if reason := mistake_in_inputs(sample, manifest.pipeline.inputs):
            raise BundleError(f"{source}: {sample.name} {reason}")
        if unlisted := [path for path in sample.files if path not in listed]:
            raise BundleError(f"{source}: {sample.name}: {unlisted[0]} is not listed in the manifest with role sample")
        if unknown := [golden.name for golden in sample.golden if golden.name not in outputs]:
            raise BundleError(f"{source}: {sample.name}: the pipeline has no output {unknown[0]}")
        for golden in sample.golden:
            if reason := mistake(golden, outputs[golden.name]):
                raise BundleError(f"{source}: {sample.name}: golden {golden.name}: {reason}")


def read_sample(directory: Path, manifest: Manifest, sample: Sample) -> list[Tensor]:
    """Read a sample as the tensors of a request; ``check_kit`` has found that it is one.

    Raises:
        StoreError: A file cannot be read.
    """
    specs = {spec.name: spec for spec in manifest.pipeline.inputs}
    if sample.input is not None:
        data = _read(directory / sample.input, MAX_SAMPLE_BYTES)
        return [Tensor(name=next(iter(specs)), dtype="BYTES", shape=(1,), data=pack_bytes([data]))]
    return [
        Tensor(name=item.name, dtype=specs[item.name].dtype, shape=item.shape, data=_content(directory, item, specs))
        for item in sample.inputs
    ]


def _content(directory: Path, item: SampleInput, specs: Mapping[str, TensorSpec]) -> bytes:
    if item.file is not None:
        return _read(directory / item.file, MAX_SAMPLE_BYTES)
    dtype = specs[item.name].dtype
    # In JSON, 1.0 is an integer, too.
    number = float if NUMBERS[dtype].is_float else int
    return pack(dtype, [number(value) for value in item.data or ()])


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        return read_limited(path, max_bytes=max_bytes)
    except OSError as exc:
        raise StoreError(f"{path}: {exc.strerror}", hint="The bundle is damaged; fetch it again.") from exc
