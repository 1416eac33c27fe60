"""Parts of a manifest in words, as ``show`` and ``diff`` say them. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from edged.bundle.manifest import (
    Batching,
    Budget,
    Metric,
    MetricLimit,
    MetricName,
    Origin,
    OriginMethod,
    Session,
    State,
    Targets,
    Tolerance,
)
from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps import Step
from edged.quantities import bytes_text

_METRICS: Final[Mapping[MetricName, str]] = {
    "mean_absolute_error": "mean absolute error",
    "root_mean_square_error": "root mean square error",
    "top_1_accuracy": "top-1 accuracy",
    "label_accuracy": "label accuracy",
}
HIGHER_IS_BETTER: Final[frozenset[MetricName]] = frozenset({"top_1_accuracy", "label_accuracy"})
"""Of the others, less is better."""
_METHODS: Final[Mapping[OriginMethod, str]] = {
    "exported": "exported from the training framework",
    "converted": "converted from another format",
    "imported": "imported as it is",
    "quantized-static": "quantized with a calibration set",
    "quantized-dynamic": "quantized, with scales found at run time",
    "quantization-aware": "trained with quantization in mind",
    "distilled": "distilled from a larger model",
}


def metric_name(metric: Metric | MetricLimit) -> str:
    """Return what a measure is called, with the output it is of."""
    around = f", around a circle of {metric.period:g}" if metric.period else ""
    return f"{_METRICS[metric.metric]} of {metric.output}{around}"


def metric_text(metric: Metric) -> str:
    """Say what was measured."""
    return f"{metric_name(metric)}: {metric.value:g} on {metric.samples} samples"


def limit_text(limit: MetricLimit) -> str:
    """Say what a measure has to be."""
    bounds = [f"at most {limit.at_most:g}"] if limit.at_most is not None else []
    bounds += [f"at least {limit.at_least:g}"] if limit.at_least is not None else []
    return f"{metric_name(limit)}: {' and '.join(bounds)}"


def tolerance_text(tolerance: Tolerance) -> str:
    """Say how far an output may be from its golden value."""
    return "; ".join(_tolerances(tolerance)) or "exactly"


def _tolerances(tolerance: Tolerance) -> Iterator[str]:
    around = f", the shorter way round a circle of {tolerance.period:g}" if tolerance.period else ""
    match tolerance.absolute, tolerance.relative:
        case None, None:
            pass
        case absolute, None:
            yield f"each element within {absolute:g}{around}"
        case None, relative:
            yield f"each element within {relative:g} of its size{around}"
        case absolute, relative:
            yield f"each element within {absolute:g} + {relative:g} of its size{around}"
    if tolerance.cosine is not None:
        yield f"each row with a cosine similarity of at least {tolerance.cosine:g}"
    if tolerance.top_1 is not None:
        yield f"the largest element in its place in at least {100 * tolerance.top_1:g} % of all rows"
    if tolerance.label_set is not None:
        yield f"at least {100 * tolerance.label_set:g} % of the labels in common, in any order"


def origin_text(origin: Origin) -> str:
    """Say where a model file came from."""
    text = _METHODS[origin.method]
    if origin.made_from is not None:
        text += f", made from sha256 {origin.made_from}"
    if origin.making is not None:
        text += f"; {origin.making.command} ({tools_text(origin.making.tools)})"
    return text


def tools_text(tools: Mapping[str, str]) -> str:
    """List tools with their versions."""
    return ", ".join(f"{name} {version}" for name, version in sorted(tools.items())) or "no tools named"


def machines_text(targets: Targets) -> str:
    """Say what a variant asks of a machine."""
    text = f"{' or '.join(targets.arch)} with {' or '.join(targets.accelerators)}"
    if targets.min_memory_bytes:
        text += f", at least {bytes_text(targets.min_memory_bytes)} of memory"
    if targets.cpu_features:
        text += f", {' and '.join(targets.cpu_features)}"
    return text


def budget_text(budget: Budget) -> str:
    """Say what one inference may cost."""
    power = f" and {budget.power_watts:g} W" if budget.power_watts is not None else ""
    return f"{budget.latency_ms:g} ms, {bytes_text(budget.memory_bytes)}{power} an inference"


def execution_text(session: Session, batching: Batching | None, states: Sequence[State]) -> str:
    """Say how a variant is executed where that is not as usual; empty when it is."""
    parts = [f"{session.threads} threads" + (", spinning" if session.spinning else "")] if session != Session() else []
    parts += [f"requests share runs of up to {batching.max_rows} rows"] if batching else []
    parts += [f"{state.output} becomes {state.input} of the sequence's next request" for state in states]
    return "; ".join(parts)


def tensors_text(specs: Sequence[TensorSpec]) -> str:
    """List tensors with their types."""
    return ", ".join(f"{spec.name} {spec}" for spec in specs)


def step_text(step: Step) -> str:
    """Say what a step does, with the settings it has."""
    fields = json.loads(msgspec.json.encode(step))
    name = fields.pop("op")
    names = {*step.reads, *step.writes}
    settings = ((key, value) for key, value in fields.items() if not (isinstance(value, str) and value in names))
    details = ", ".join(f"{key} {value if isinstance(value, str) else json.dumps(value)}" for key, value in settings)
    return f"{name}: {', '.join(step.reads)} -> {', '.join(step.writes)}" + (f" ({details})" if details else "")
