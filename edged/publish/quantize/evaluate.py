"""Have a model and its variants answer the same rows, in turn, and measure answers, time and size.

In turn, row by row: whatever else the machine does, it does to all of them alike, so that their ratios can be trusted.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edged.bundle.manifest import Metric, MetricName
from edged.errors import BundleError
from edged.pipeline.kernels import Array, Stage
from edged.pipeline.spec import TensorSpec
from edged.publish.quantize.rows import Row
from edged.validation.metrics import ERRORS, measure
from edged.worker.arrays import to_tensor
from edged.worker.backends.ort import OnnxRuntime


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Which measure decides, on which of the pipeline's outputs."""

    metric: MetricName
    output: str
    period: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model file to be judged."""

    name: str
    model: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was found of one candidate."""

    name: str
    size_bytes: int
    latency_ms: float
    """Median of single runs of the model in one thread, without pre- and post-processing."""
    metric: Metric


def evaluate(
    candidates: Sequence[Candidate],
    rows: Sequence[Row],
    *,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    post: Stage,
    measure_by: Measure,
) -> list[Result]:
    """Judge candidates on rows whose truth is known.

    Args:
        candidates: Models with the same inputs and outputs.
        rows: At least one.
        inputs: The models'.
        outputs: The models'.
        post: The steps after the model, prepared.
        measure_by: What to measure.

    Raises:
        ModelLoadError: A candidate cannot be loaded.
        BackendError: One fails.
        BundleError: An answer does not fit the truth.
    """
    backend = OnnxRuntime()
    sessions = [backend.load_graph(candidate.model, inputs, outputs) for candidate in candidates]
    stops = [session.new_stop() for session in sessions]
    times_s: list[list[float]] = [[] for _ in candidates]
    answers: list[list[Array]] = [[] for _ in candidates]
    for session, stop in zip(sessions, stops, strict=True):
        session.run(rows[0].feed, stop)  # the first run of a session is not like the others
    for row in rows:
        for i, (session, stop) in enumerate(zip(sessions, stops, strict=True)):
            began_s = time.perf_counter()
            given = session.run(row.feed, stop)
            times_s[i].append(time.perf_counter() - began_s)
            answers[i].append(_output(post, row.borrowed, given, measure_by.output))
    return [
        Result(
            name=candidate.name,
            size_bytes=len(candidate.model),
            latency_ms=statistics.median(times_s[i]) * 1000,
            metric=_judge(answers[i], rows, measure_by),
        )
        for i, candidate in enumerate(candidates)
    ]


def loss(reference: Metric, variant: Metric) -> float:
    """Return by how much a variant is worse than the reference, in the unit of the measure; below 0 when it is better."""
    if reference.metric in ERRORS:
        return variant.value - reference.value
    return reference.value - variant.value


def _output(post: Stage, borrowed: Mapping[str, Array], given: Mapping[str, Array], name: str) -> Array:
    known = post.run({**borrowed, **given})
    if name not in known:
        raise BundleError(f"the pipeline has no output {name}", hint=f"It has {', '.join(sorted(known))}.")
    return known[name]


def _judge(answers: Sequence[Array], rows: Sequence[Row], by: Measure) -> Metric:
    pairs = [(to_tensor(by.output, answer), row.truth[by.output]) for answer, row in zip(answers, rows, strict=True)]
    value = measure(by.metric, pairs, period=by.period)
    return Metric(metric=by.metric, output=by.output, value=value, samples=len(rows), period=by.period)
