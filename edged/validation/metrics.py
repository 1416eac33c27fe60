"""Measures of a model's answers against the truth. Pure, and without numpy: devices judge limits on them, too.

``measure(metric, pairs, period=None) -> float`` takes pairs of a tensor, as the pipeline gave it, and the flat values of the truth. A
``Tally`` does the same for answers that come one by one, and keeps none of them.

What is measured, over all pairs together:

- ``mean_absolute_error``: the mean of ``abs(got - truth)`` over all elements; ``root_mean_square_error``: the root of the mean of its
  square. Both need a truth for each element. With a ``period``, differences go the shorter way round a circle of that length. An
  answer that is NaN or infinite makes the measure infinite.
- ``top_1_accuracy``: the share of rows whose class is the true one. Of a tensor of floats, which are scores, a row lies along the last
  axis, its class is the index of its largest element (the first of equal ones), and the truth is either such scores of the same number
  or one class index a row. Of integers, which are class indices, see ``label_accuracy``. A row with NaN is wrong.
- ``label_accuracy``: the share of labels that are right. The truth may have fewer elements than the answer, if as many answers belong
  to each; then the first of these, the best, is what counts. An answer without any label is wrong for each label of the truth.
"""

import math
from collections.abc import Iterable, Sequence
from operator import eq, sub
from typing import Final

from edged.bundle.manifest import MetricName
from edged.errors import BundleError
from edged.pipeline.datatypes import NUMBERS, unpack
from edged.runtime.tensors import Tensor, check_tensor, elements_of

Truth = Sequence[bool | int | float | str]
"""Flat, row-major."""
ERRORS: Final = frozenset[MetricName]({"mean_absolute_error", "root_mean_square_error"})
"""Measures that are better the lower they are; the others are shares, which are better the higher they are."""


def measure(metric: MetricName, pairs: Iterable[tuple[Tensor, Truth]], *, period: float | None = None) -> float:
    """Measure answers against the truth.

    Args:
        metric: What to measure.
        pairs: An output for each sample, as the pipeline gave it, with the truth of that sample.
        period: Length of the circle that values lie on, for the two errors; None when they lie on a line.

    Returns:
        The error, or the share in 0..1.

    Raises:
        BundleError: The truth does not fit the answers, the metric does not fit their datatype, or there are none.
        TensorError: A tensor's bytes are not those of its datatype and shape.
    """
    tally = Tally(metric, period=period)
    for tensor, truth in pairs:
        tally.add(tensor, truth)
    return tally.value


class Tally:
    """A measure while answers come in.

    Args:
        metric: What to measure.
        period: As for ``measure``.
    """

    def __init__(self, metric: MetricName, *, period: float | None = None) -> None:
        self._metric = metric
        self._period = period
        self._sum = 0.0
        self._count = 0

    @property
    def value(self) -> float:
        """The measure so far.

        Raises:
            BundleError: There is nothing to measure yet.
        """
        if not self._count:
            raise BundleError(f"{self._metric} needs at least one answer whose truth is known")
        mean = self._sum / self._count
        return math.sqrt(mean) if self._metric == "root_mean_square_error" else mean

    def add(self, tensor: Tensor, truth: Truth) -> None:
        """Count an answer; errors as for ``measure``."""
        check_tensor(tensor)
        if self._metric in ERRORS:
            errors = self._errors(tensor, truth)
            self._sum += math.fsum(errors) if all(map(math.isfinite, errors)) else math.inf
            self._count += len(errors)
            return
        if self._metric == "top_1_accuracy" and tensor.dtype != "BYTES" and NUMBERS[tensor.dtype].is_float:
            right = _right_rows(tensor, truth)
        else:
            right = self._right_labels(tensor, truth)
        self._sum += sum(right)
        self._count += len(right)

    def _errors(self, tensor: Tensor, truth: Truth) -> list[float]:
        if tensor.dtype == "BYTES":
            raise BundleError(f"{self._metric} is of numbers, {tensor.name} is BYTES", hint="Use label_accuracy.")
        values = unpack(tensor.dtype, tensor.data)
        if len(values) != len(truth):
            raise BundleError(
                f"{tensor.name} has {len(values)} values, the truth {len(truth)}",
                hint=f"{self._metric} needs a truth for each.",
            )
        errors = distances(values, _numbers(tensor, truth), self._period)
        return [error * error for error in errors] if self._metric == "root_mean_square_error" else errors

    def _right_labels(self, tensor: Tensor, truth: Truth) -> list[bool]:
        found: Sequence[object]
        wanted: Sequence[object]
        if tensor.dtype == "BYTES":
            found = [label.decode("utf-8", "replace") for label in elements_of(tensor, memoryview(tensor.data))]
            wanted = [str(label) for label in truth]
        elif not NUMBERS[tensor.dtype].is_float:
            found, wanted = unpack(tensor.dtype, tensor.data), _numbers(tensor, truth)
        else:
            raise BundleError(
                f"{self._metric} is of labels or their numbers, {tensor.name} is {tensor.dtype}",
                hint="Use top_1_accuracy for scores.",
            )
        if not found:
            return [False] * len(wanted)
        if not wanted or len(found) % len(wanted):
            raise BundleError(
                f"{tensor.name} has {len(found)} labels, which do not belong to {len(wanted)} of the truth alike"
            )
        return list(map(eq, found[:: len(found) // len(wanted)], wanted))


def distances(values: Sequence[float], wanted: Sequence[float], period: float | None = None) -> list[float]:
    """Return how far numbers are apart, element by element; integers exactly, NaN and infinities as they come out.

    Args:
        values: As many as ``wanted``.
        wanted: Finite numbers.
        period: Length of the circle they lie on; None when they lie on a line.
    """
    apart = list(map(abs, map(sub, values, wanted)))
    if period is None:
        return apart
    # Nothing is left of an infinite distance on a circle, and math.fmod refuses one.
    rests = [d % period if math.isfinite(d) else math.nan for d in apart]
    return [min(rest, period - rest) if rest == rest else rest for rest in rests]  # noqa: PLR0124 - NaN is not itself


def top_1(row: Sequence[float]) -> int:
    """Return the index of a row's largest element, the first of equal ones; -1 when there is NaN in it or nothing."""
    if not row or any(map(math.isnan, row)):
        return -1
    return max(range(len(row)), key=row.__getitem__)


def _right_rows(tensor: Tensor, truth: Truth) -> list[bool]:
    classes = tensor.shape[-1] if tensor.shape else 0
    if classes < 2:
        raise BundleError(f"top_1_accuracy needs a last axis of several classes, {tensor.name} is {list(tensor.shape)}")
    values = unpack(tensor.dtype, tensor.data)
    wanted = _numbers(tensor, truth)
    found = [top_1(values[i : i + classes]) for i in range(0, len(values), classes)]
    if len(wanted) == len(values):
        return [top_1(wanted[i * classes : (i + 1) * classes]) == best for i, best in enumerate(found)]
    if len(wanted) == len(found):
        return list(map(eq, found, wanted))
    raise BundleError(
        f"{tensor.name} has {len(values)} scores in {len(found)} rows, the truth {len(wanted)} values",
        hint="Give the number of the true class of each row, or a score for each class.",
    )


def _numbers(tensor: Tensor, truth: Truth) -> list[float]:
    if any(isinstance(value, str) for value in truth):
        raise BundleError(f"the truth of {tensor.name} is text, the answer {tensor.dtype}")
    # In JSON 1.0 is an integer, too; floats cannot tell large ones apart.
    number = float if NUMBERS[tensor.dtype].is_float else int
    return [number(value) for value in truth]
