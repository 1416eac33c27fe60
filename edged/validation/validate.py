"""Runs a bundle's validation kit: the same on the device before a model is activated and at the publisher's before it is signed."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from edged.bundle.kit import Sample
from edged.bundle.manifest import Manifest, MetricLimit, Variant
from edged.errors import BackendError, BundleError, DeadlineError, TensorError, WorkerLostError
from edged.runtime.tensors import InferResult, Tensor
from edged.validation.comparison import Agreement, Difference, compare, tolerances_of
from edged.validation.memory import MemoryMeter
from edged.validation.metrics import Tally
from edged.validation.samples import read_golden, read_kit, read_sample
from edged.validation.verdict import Measured, SampleResult, Verdict


class Infers(Protocol):
    """Something that answers requests: a worker, or a fake."""

    async def infer(
        self, inputs: Sequence[Tensor], outputs: Sequence[str] = (), *, timeout_s: float, scale: float = 1.0
    ) -> InferResult:
        """Run one request; see ``edged.host.template.Worker.infer``."""
        ...


async def validate(
    model: Infers,
    directory: Path,
    manifest: Manifest,
    variant: Variant,
    *,
    timeout_s: float,
    meter: MemoryMeter | None = None,
    after_sample: Callable[[], None] = lambda: None,
) -> Verdict:
    """Run every sample of a bundle's kit and judge the answers.

    All of that is done in full size. Where the pipeline may be scaled, the first sample is also asked at the least scale: nobody knows the
    right answer to that, but there has to be one, and a hot device is no place to find out that there is none.

    Args:
        model: Has the variant loaded.
        directory: Holds the bundle's files at the manifest's paths; verified.
        manifest: Of the bundle.
        variant: Whose budget and tolerances apply.
        timeout_s: Longest wait for one sample.
        meter: Measures the memory of the model's worker; None leaves memory unjudged.
        after_sample: Called when a sample is done.

    Returns:
        The verdict. It fails when the median latency is above the publisher's budget; one slow sample on a busy machine does not fail it.

    Raises:
        ManifestError: The kit is not a kit.
        BundleError: The kit does not fit the manifest.
        StoreError: A file is missing or too large.
        DeadlineError: A sample took too long.
        WorkerLostError: The worker ended during a sample.
    """
    # In threads, because a large kit takes tenths of a second in which a daemon has requests to answer.
    kit = await asyncio.to_thread(read_kit, directory, manifest)
    judge = _Judge(manifest, variant)
    least = manifest.pipeline.least_scale
    for i, sample in enumerate(kit.samples):
        request = await asyncio.to_thread(read_sample, directory, manifest.pipeline.inputs, sample)
        wanted = await asyncio.to_thread(read_golden, directory, sample)
        result = await _answer(model, request, timeout_s=timeout_s)
        if i == 0 and least < 1.0 and isinstance(result, InferResult):
            smaller = await _answer(model, request, timeout_s=timeout_s, scale=least)
            result = f"{smaller}, at scale {least:g}" if isinstance(smaller, str) else result
        if isinstance(result, str):
            judge.refused(wanted, result)
        else:
            await asyncio.to_thread(judge.answered, wanted, result)
        if meter is not None:
            meter.read()
        after_sample()
    return judge.close(meter)


async def _answer(
    model: Infers, request: Sequence[Tensor], *, timeout_s: float, scale: float = 1.0
) -> InferResult | str:
    """Return the answer, or what was got in its place."""
    try:
        return await model.infer(request, (), timeout_s=timeout_s, scale=scale)
    except (DeadlineError, WorkerLostError):
        raise
    except (TensorError, BundleError, BackendError) as exc:
        return f"got {exc.code}: {exc}"


class _Judge:
    """Takes the answers one by one, and keeps none of them."""

    def __init__(self, manifest: Manifest, variant: Variant) -> None:
        self._budget = variant.budget
        self._tolerances = tolerances_of(manifest.validation.tolerance, variant.tolerance)
        self._agreement = Agreement(self._tolerances)
        self._measures = [_Measure(limit) for limit in manifest.validation.metrics]
        self._results: list[SampleResult] = []

    def refused(self, sample: Sample, reason: str) -> None:
        """Note that there was no answer."""
        differences = [Difference(sample=sample.name, output=golden.name, reason=reason) for golden in sample.golden]
        self._note(sample, {}, differences, None)

    def answered(self, sample: Sample, result: InferResult) -> None:
        """Compare and count an answer."""
        outputs = {tensor.name: tensor for tensor in result.outputs}
        self._note(sample, outputs, compare(sample, outputs, self._tolerances), result.run_s)

    def close(self, meter: MemoryMeter | None) -> Verdict:
        """Return the verdict."""
        times_s = [result.run_s for result in self._results if result.run_s is not None]
        return Verdict(
            samples=tuple(self._results),
            overall=tuple(self._agreement.close()),
            measures=tuple(measure.close() for measure in self._measures),
            latency_p50_ms=sorted(times_s)[(len(times_s) - 1) // 2] * 1000 if times_s else None,
            memory_bytes=None if meter is None else meter.needed_bytes,
            budget=self._budget,
        )

    def _note(
        self, sample: Sample, outputs: Mapping[str, Tensor], differences: Sequence[Difference], run_s: float | None
    ) -> None:
        self._results.append(SampleResult(name=sample.name, differences=tuple(differences), run_s=run_s))
        self._agreement.add(sample, outputs)
        for measure in self._measures:
            measure.add(sample, outputs)


class _Measure:
    """One limit on a measure while answers come in; the first thing that cannot be measured is what is said about it."""

    def __init__(self, limit: MetricLimit) -> None:
        self._limit = limit
        self._tally = Tally(limit.metric, period=limit.period)
        self._samples = 0
        self._fault = ""

    def add(self, sample: Sample, outputs: Mapping[str, Tensor]) -> None:
        truth = next((item for item in sample.truth if item.name == self._limit.output), None)
        if truth is None:
            return
        self._samples += 1
        if (tensor := outputs.get(truth.name)) is None:
            self._fault = self._fault or f"sample {sample.name} has no answer"
            return
        try:
            self._tally.add(tensor, truth.data)
        except (BundleError, TensorError) as exc:
            self._fault = self._fault or f"sample {sample.name}: {exc}"

    def close(self) -> Measured:
        value = None if self._fault else self._tally.value
        return Measured(limit=self._limit, value=value, samples=self._samples, fault=self._fault)
