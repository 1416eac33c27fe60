"""What the steps of ``edged.pipeline.steps.sequence`` compute."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.errors import BundleError
from edged.pipeline.kernels.base import Arrays, Compile, Kernel, Resources
from edged.pipeline.kernels.scores import argmax, read_labels
from edged.pipeline.kernels.types import check_types
from edged.pipeline.steps.sequence import CtcDecode

MAX_SYMBOL_BYTES: Final = 64
"""Of a class's line, so that a long output of a model does not become a text that is longer by far."""


def runs_of(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where in a row of classes each run of the same one begins."""
    if not len(classes):
        return np.zeros(0, dtype=np.int64)
    return np.concatenate([[0], np.nonzero(np.diff(classes))[0] + 1]).astype(np.int64, copy=False)


def probabilities(scores: NDArray[np.float32], classes: NDArray[np.int64], kind: str) -> NDArray[np.float64]:
    """Return the probability of a class for each moment.

    Args:
        scores: FP32 [t, classes].
        classes: INT64 [t].
        kind: What the scores are, as ``CtcDecode.scores`` says it.
    """
    found = np.take_along_axis(scores, classes[:, np.newaxis], axis=1)[:, 0].astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        if kind == "log_probabilities":
            return np.exp(found)
        if kind == "logits":
            # A row at a time: the whole in FP64 would take twice the memory of what the model gave.
            sums = [np.exp(row.astype(np.float64) - largest).sum() for row, largest in zip(scores, found, strict=True)]
            return 1 / np.array(sums, dtype=np.float64)
    return found


def _confidence(
    shares: NDArray[np.float64], starts: NDArray[np.int64], step: CtcDecode, is_kept: NDArray[np.bool_]
) -> float:
    if not is_kept.any():
        return 0.0
    of_runs = np.maximum.reduceat(shares, starts)[is_kept]
    return float(of_runs.min() if step.of == "min" else of_runs.sum() / len(of_runs))


def _ctc_decode(step: CtcDecode, resources: Resources) -> Kernel:
    symbols = _symbols(step, resources)

    def kernel(arrays: Arrays) -> Arrays:
        check_types(step, arrays)
        given = arrays[step.input].astype(np.float32, copy=False)
        scores = given[0] if given.ndim == 3 else given
        if scores.shape[1] != len(symbols):
            raise BundleError(
                f"step ctc_decode@1: {step.file} has {len(symbols)} lines, {step.input} has {scores.shape[1]} classes",
                hint="The file must have a line for each of the model's classes, that of the blank included.",
            )
        classes = argmax(scores, -1)
        starts = runs_of(classes)
        is_kept = classes[starts] != step.blank
        text = np.empty(1, dtype=object)
        text[0] = b"".join(symbols[index] for index in classes[starts][is_kept].tolist())
        if step.confidence is None:
            return {step.output: text}
        shares = probabilities(scores, classes, step.scores)
        confidence = _confidence(shares, starts, step, is_kept)
        return {step.output: text, step.confidence: np.array([confidence], dtype=np.float32)}

    return kernel


def _symbols(step: CtcDecode, resources: Resources) -> Sequence[bytes]:
    symbols: list[bytes] = read_labels(resources.file("ctc_decode@1", step.file), step.file).tolist()
    if step.blank >= len(symbols):
        raise BundleError(
            f"step ctc_decode@1: {step.file} has {len(symbols)} lines, none for the blank, which is class {step.blank}",
            hint="The file must have a line for each of the model's classes, that of the blank included.",
        )
    if long := [i for i, symbol in enumerate(symbols) if len(symbol) > MAX_SYMBOL_BYTES]:
        raise BundleError(
            f"step ctc_decode@1: line {long[0] + 1} of {step.file} has more than {MAX_SYMBOL_BYTES} bytes",
            hint="Write one symbol a line.",
        )
    return symbols


KERNELS: Final[dict[type, Compile]] = {CtcDecode: _ctc_decode}
