"""The types of arrays, as tensors have them; and whether a step takes arrays of some types.

A step's own rules, which it has for types with free axes, hold for exact ones just as well.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from edged.errors import TensorError
from edged.pipeline.datatypes import NUMBERS
from edged.pipeline.kernels.base import Array, Arrays, Compile, Kernel, Resources, ScalableKernel
from edged.pipeline.spec import Datatype, TensorSpec
from edged.pipeline.steps.base import MisfitError, OneToOne, StepBase

NUMPY: Final[Mapping[Datatype, np.dtype[Any]]] = {
    dtype: np.dtype(dtype.lower().replace("fp", "float")).newbyteorder("<") for dtype in NUMBERS
}
"""Every datatype of fixed width; BYTES is not here."""

_DATATYPES: Final = {dtype: name for name, dtype in NUMPY.items()}


def datatype_of(array: Array) -> Datatype:
    """Return the datatype an array travels as.

    Raises:
        TensorError: There is none for its dtype.
    """
    if array.dtype == object:
        return "BYTES"
    if (found := _DATATYPES.get(array.dtype)) is None:
        raise TensorError(f"arrays of {array.dtype} have no datatype in the Open Inference Protocol")
    return found


def check_types(step: StepBase, arrays: Mapping[str, Array]) -> Sequence[TensorSpec]:
    """Check that a step takes the arrays it reads, by their exact types.

    Args:
        step: Any.
        arrays: By name; those it reads are among them.

    Returns:
        The types of what it is to write, in the order of its ``writes``.

    Raises:
        TensorError: It does not take them.
    """
    known = {
        name: TensorSpec(name=name, dtype=datatype_of(arrays[name]), shape=arrays[name].shape) for name in step.reads
    }
    try:
        return step.gives(known)
    except MisfitError as exc:
        raise TensorError(f"step {step.__struct_config__.tag}: {exc}") from exc


def one_to_one(compute: Callable[[Any, Any], Array]) -> Compile:
    """Return what compiles steps that make one array of another, which need no more than their own keys."""

    def kernel_of(step: OneToOne) -> Kernel:
        def kernel(arrays: Arrays) -> Arrays:
            check_types(step, arrays)
            return {step.output: compute(arrays[step.input], step)}

        return kernel

    def compiled(step: OneToOne, _: Resources) -> Kernel:
        return ScalableKernel(step, kernel_of) if step.SIZES else kernel_of(step)

    return compiled
