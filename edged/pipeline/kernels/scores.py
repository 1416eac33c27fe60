"""What the steps of ``edged.pipeline.steps.scores`` compute."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.errors import BundleError, TensorError
from edged.pipeline.kernels.base import Arrays, Compile, Kernel, Resources, of_floats, refused
from edged.pipeline.kernels.types import check_types
from edged.pipeline.steps.scores import Argmax, Labels, OneHot, Sigmoid, Softmax, Threshold, TopK

MAX_ELEMENTS: Final = 1 << 26
"""Of what ``one_hot`` gives: 256 MB."""


def softmax(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the exponentials of the last axis divided by their sum.

    The largest value is subtracted first, so that finite values never overflow. A row with NaN or plus infinity, or with minus
    infinity only, has no softmax and becomes NaN.
    """
    # Those rows are defined above; a warning for each would only fill the journal.
    with np.errstate(invalid="ignore"):
        powers: NDArray[np.float32] = np.exp(values - values.max(axis=-1, keepdims=True))
        shares: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``1 / (1 + exp(-x))`` of each element, without overflow."""
    with np.errstate(invalid="ignore"):  # what NaN gives is defined
        power: NDArray[np.float32] = np.exp(-np.abs(values))
        return np.asarray(np.where(values < 0, power, np.float32(1)) / (1 + power), dtype=np.float32)


def argmax(values: NDArray[np.float32], axis: int) -> NDArray[np.int64]:
    """Return the index of the largest element along an axis, which is not empty; NaN counts as minus infinity."""
    if (unknown := np.isnan(values)).any():
        values = np.where(unknown, np.float32(-np.inf), values)
    return np.asarray(values.argmax(axis=axis), dtype=np.int64)


def above(scores: NDArray[np.float32], threshold: float, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return at most ``k`` of the scores of one row that are at least ``threshold``, largest first, and their indices."""
    (indices,) = np.nonzero(scores.astype(np.float64) >= threshold)
    # As in top_k, a stable sort keeps equals in the order of their indices.
    indices = indices[np.argsort(-scores[indices], kind="stable")[:k]].astype(np.int64, copy=False)
    return scores[indices], indices


def top_k(values: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the ``k`` largest values of the last axis and their indices; NaN sorts below everything."""
    # A stable sort keeps equals in the order of their indices, which partitioning does not.
    indices = np.argsort(-values, axis=-1, kind="stable")[..., :k].astype(np.int64, copy=False)
    return np.take_along_axis(values, indices, axis=-1), indices


def read_labels(data: bytes, path: str) -> NDArray[np.object_]:
    """Return the lines of a label file as an object array of UTF-8 ``bytes``; a final newline ends the last line.

    Raises:
        BundleError: It is not UTF-8, or empty.
    """
    try:
        lines = data.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as exc:
        raise BundleError(
            f"{path}: byte {exc.start} is not UTF-8", hint="Write the labels as UTF-8, one a line."
        ) from exc
    if lines == [""]:
        raise BundleError(f"{path}: no labels in it", hint="Write one label a line, the first for index 0.")
    labels = np.empty(len(lines), dtype=object)
    labels[:] = [line.removesuffix("\r").encode() for line in lines]
    return labels


def _softmax(step: Softmax, _: Resources) -> Kernel:
    return lambda arrays: {step.output: softmax(of_floats(arrays[step.input], "softmax@1", step.input, least=1))}


def _sigmoid(step: Sigmoid, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        check_types(step, arrays)
        return {step.output: sigmoid(arrays[step.input].astype(np.float32, copy=False))}

    return kernel


def _argmax(step: Argmax, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        check_types(step, arrays)
        return {step.output: argmax(arrays[step.input].astype(np.float32, copy=False), step.axis)}

    return kernel


def _one_hot(step: OneHot, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        check_types(step, arrays)
        indices = arrays[step.input]
        if indices.size * step.depth > MAX_ELEMENTS:
            raise TensorError(
                f"step one_hot@1: {step.input} has {indices.size} elements, at most {MAX_ELEMENTS // step.depth} are taken"
            )
        flat = indices.astype(np.int64).ravel()
        if flat.size and (int(flat.min()) < 0 or int(flat.max()) >= step.depth):
            raise TensorError(f"step one_hot@1: an element of {step.input} is not in 0 ... {step.depth - 1}")
        rows = np.zeros((flat.size, step.depth), dtype=np.float32)
        rows[np.arange(flat.size), flat] = 1
        return {step.output: rows.reshape((*indices.shape, step.depth))}

    return kernel


def _threshold(step: Threshold, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        check_types(step, arrays)
        scores = arrays[step.input].astype(np.float32, copy=False)
        values, indices = above(scores.reshape(-1), step.threshold, step.k)
        shape = (*scores.shape[:-1], len(values))
        return {step.values: values.reshape(shape), step.indices: indices.reshape(shape)}

    return kernel


def _top_k(step: TopK, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        values, indices = top_k(of_floats(arrays[step.input], "top_k@1", step.input, least=step.k), step.k)
        return {step.values: values, step.indices: indices}

    return kernel


def _labels(step: Labels, resources: Resources) -> Kernel:
    labels = read_labels(resources.file("labels@1", step.file), step.file)

    def kernel(arrays: Arrays) -> Arrays:
        indices = arrays[step.input]
        if indices.dtype != np.int64:
            raise refused(indices, "labels@1", step.input, "INT64")
        if indices.size and (int(indices.min()) < 0 or int(indices.max()) >= len(labels)):
            raise BundleError(
                f"step labels@1: {step.file} has {len(labels)} lines, an index of {step.input} is outside",
                hint="The label file must have a line for each of the model's classes.",
            )
        return {step.output: labels[indices.astype(np.int64, copy=False)]}

    return kernel


KERNELS: Final[dict[type, Compile]] = {
    Softmax: _softmax,
    Sigmoid: _sigmoid,
    Argmax: _argmax,
    OneHot: _one_hot,
    TopK: _top_k,
    Threshold: _threshold,
    Labels: _labels,
}
