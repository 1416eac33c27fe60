"""What the computations of steps share: arrays by name, and the errors for arrays a step does not take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edged.errors import BundleError, TensorError
from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps.base import StepBase

Array = NDArray[np.generic] | NDArray[np.object_]
"""BYTES are object arrays of ``bytes`` (or memoryviews of them)."""
Arrays = dict[str, Array]
Kernel = Callable[[Arrays], Arrays]
"""Reads the arrays it needs by name and returns those it makes."""
S = TypeVar("S", bound=StepBase)
Graph = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""A loaded ONNX graph: its inputs by name to its outputs by name."""
LoadGraph = Callable[[bytes, tuple[TensorSpec, ...], tuple[TensorSpec, ...]], Graph]
"""Loads the ONNX graph in some bytes, with the inputs and outputs it must have.

Raises:
    UnsafeModelError: It asks for what no model may.
    ModelLoadError: The runtime refuses it, or it has other tensors.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What steps are compiled with."""

    files: Mapping[str, bytes]
    """The contents of the bundle's files that steps may name, by path."""
    load_graph: LoadGraph

    def file(self, op: str, path: str) -> bytes:
        """Return a file's contents.

        Raises:
            BundleError: It was not handed over.
        """
        try:
            return self.files[path]
        except KeyError:
            raise BundleError(
                f"step {op} names {path}, which was not handed over", hint="List it in the manifest's files."
            ) from None


Compile = Callable[[Any, Resources], Kernel]
"""Prepares one step, of the type it is registered for: reads and checks its files, so that a request only computes.

Raises:
    BundleError: A file that the step names is missing or unreadable.
"""


class ScalableKernel:
    """A kernel that can be had for other sizes of its step without reading any file again.

    Args:
        step: As it is written.
        make: Returns the kernel of such a step.
    """

    def __init__(self, step: S, make: Callable[[S], Kernel]) -> None:
        self._kernel = make(step)
        self._make: Callable[[Any], Kernel] = make

    def __call__(self, arrays: Arrays) -> Arrays:
        """Compute the step as it is written."""
        return self._kernel(arrays)

    def of(self, step: StepBase) -> Kernel:
        """Return the kernel of the same step in another size."""
        return self._make(step)


def of_floats(array: Array, op: str, name: str, *, least: int = 0) -> NDArray[np.float32]:
    """Return an array that has to be FP32 with a last axis of at least ``least``.

    Raises:
        TensorError: It is something else.
    """
    if array.dtype != np.float32 or not array.ndim or array.shape[-1] < least:
        size = f" with a last axis of at least {least}" if least else ""
        raise refused(array, op, name, f"FP32{size}")
    return array.astype(np.float32, copy=False)


def single_file(array: Array, op: str, name: str) -> bytes | memoryview:
    """Return the one element of BYTES [1], without copying it.

    Raises:
        TensorError: It is something else.
    """
    if array.dtype != object or array.shape != (1,):
        raise refused(array, op, name, "BYTES [1]")
    element: bytes | memoryview = array[0]
    return element


def refused(array: Array, op: str, name: str, taken: str) -> TensorError:
    """Return the error of a step that does not take an array."""
    dtype = "BYTES" if array.dtype == object else array.dtype
    return TensorError(f"step {op} takes {taken}, {name} is {dtype} {list(array.shape)}")
