"""What each step of ``edged.pipeline.steps`` computes, on numpy arrays.

A pipeline is compiled once, when a model is loaded: files are read and checked then, so that a request only computes. BYTES are
object arrays of ``bytes``. What a step gives for the same input never changes under the same number after ``@``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from edged.errors import BundleError, TensorError
from edged.pipeline.spec import Pipeline
from edged.pipeline.steps import BytesWindow, Labels, Softmax, Step, TopK

Array = NDArray[np.generic] | NDArray[np.object_]
Arrays = dict[str, Array]
Kernel = Callable[[Arrays], Arrays]
"""Reads the arrays it needs by name and returns those it makes."""

# What bytes.strip() drops; written out because answers must not follow the interpreter's idea of it.
WHITE_SPACE: Final = b" \t\n\r\x0b\x0c"


class Stage:
    """The steps before or after a model, ready to run."""

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        self._kernels = tuple(kernels)

    def run(self, arrays: Mapping[str, Array]) -> Arrays:
        """Return the given arrays and all that the steps make of them.

        Raises:
            TensorError: A step does not take the datatype, shape or value it is given.
            BundleError: The steps do not fit the model's values (an index without a label).
        """
        known = dict(arrays)
        for kernel in self._kernels:
            known.update(kernel(known))
        return known


def compile_pre(pipeline: Pipeline, files: Mapping[str, bytes]) -> Stage:
    """Prepare the steps before the model.

    Args:
        pipeline: Of a parsed manifest.
        files: The contents of the bundle's files that steps may name, by path.

    Raises:
        BundleError: A file that a step names is missing or unreadable.
    """
    return Stage([_compile(step, files) for step in pipeline.pre])


def compile_post(pipeline: Pipeline, files: Mapping[str, bytes]) -> Stage:
    """Prepare the steps after the model; as ``compile_pre``."""
    return Stage([_compile(step, files) for step in pipeline.post])


def bytes_window(data: bytes, step: BytesWindow) -> NDArray[np.int32]:
    """Return the first and last bytes of some data as INT32 [1, begin + end]."""
    first = data[: step.block].lstrip(WHITE_SPACE)[: step.begin]
    last = data[max(len(data) - step.block, 0) :].rstrip(WHITE_SPACE)
    last = last[max(len(last) - step.end, 0) :]
    window = np.full((1, step.begin + step.end), step.padding, dtype=np.int32)
    window[0, : len(first)] = np.frombuffer(first, dtype=np.uint8)
    window[0, step.begin + step.end - len(last) :] = np.frombuffer(last, dtype=np.uint8)
    return window


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


def _compile(step: Step, files: Mapping[str, bytes]) -> Kernel:
    match step:
        case BytesWindow():
            return lambda arrays: {step.output: bytes_window(_single_bytes(arrays, step.input), step)}
        case Softmax():
            return lambda arrays: {step.output: softmax(_floats(arrays, step.input, at_least=1))}
        case TopK():
            return lambda arrays: dict(
                zip(
                    (step.values, step.indices),
                    top_k(_floats(arrays, step.input, at_least=step.k), step.k),
                    strict=True,
                )
            )
        case Labels():
            return _compile_labels(step, files)
        case _:
            assert_never(step)


def _compile_labels(step: Labels, files: Mapping[str, bytes]) -> Kernel:
    if (data := files.get(step.file)) is None:
        raise BundleError(
            f"step labels@1 names {step.file}, which was not handed over", hint="List it in the manifest's files."
        )
    labels = read_labels(data, step.file)

    def kernel(arrays: Arrays) -> Arrays:
        indices = arrays[step.input]
        if indices.dtype != np.int64:
            raise TensorError(f"step labels@1 takes INT64, {step.input} is {indices.dtype}")
        if indices.size and (int(indices.min()) < 0 or int(indices.max()) >= len(labels)):
            raise BundleError(
                f"step labels@1: {step.file} has {len(labels)} lines, an index of {step.input} is outside",
                hint="The label file must have a line for each of the model's classes.",
            )
        return {step.output: labels[indices.astype(np.int64, copy=False)]}

    return kernel


def _single_bytes(arrays: Arrays, name: str) -> bytes:
    array = arrays[name]
    if array.dtype != object or array.shape != (1,):
        raise TensorError(f"step bytes_window@1 takes BYTES [1], {name} is {array.dtype} {list(array.shape)}")
    return bytes(array[0])


def _floats(arrays: Arrays, name: str, *, at_least: int) -> NDArray[np.float32]:
    array = arrays[name]
    if array.dtype != np.float32 or not array.ndim or array.shape[-1] < at_least:
        raise TensorError(
            f"a step takes FP32 with a last axis of at least {at_least}, {name} is {array.dtype} {list(array.shape)}"
        )
    return array.astype(np.float32, copy=False)
