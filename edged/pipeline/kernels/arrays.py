"""What the steps of ``edged.pipeline.steps.arrays`` compute."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edged.pipeline.kernels.base import Compile
from edged.pipeline.kernels.types import NUMPY, one_to_one
from edged.pipeline.steps.arrays import Cast, Normalize, NumberType, Pad, PadTo

Numbers = NDArray[Any]


def cast(values: Numbers, to: NumberType) -> Numbers:
    """Return values in another datatype, by the rules of ``cast@1``."""
    dtype = NUMPY[to]
    if to == "BOOL":
        return values.astype(bool)
    if dtype.kind == "f" or values.dtype.kind == "b":
        # The end of a float's range is infinity, not an accident.
        with np.errstate(over="ignore"):
            return values.astype(dtype)
    return _saturated(values, dtype) if values.dtype.kind == "f" else _clipped(values, dtype)


def _saturated(values: Numbers, dtype: np.dtype[Any]) -> Numbers:
    """Round floats to integers; NaN becomes 0."""
    limits = np.iinfo(dtype)
    # Powers of two, which every float but the shortest has exactly; the highest integer itself would be rounded.
    wide = values.astype(np.float32) if values.dtype == np.float16 else values
    lowest, above = wide.dtype.type(limits.min), wide.dtype.type(2.0 ** int(limits.max).bit_length())
    rounded = np.rint(wide)
    too_low, too_high = rounded < lowest, rounded >= above
    # What numpy makes of a float outside the range depends on the machine.
    whole = np.where((rounded >= lowest) & ~too_high, rounded, 0).astype(dtype)
    whole[too_low] = limits.min
    whole[too_high] = limits.max
    return whole


def _clipped(values: Numbers, dtype: np.dtype[Any]) -> Numbers:
    """Bring integers into the range of others."""
    old, new = np.iinfo(values.dtype), np.iinfo(dtype)
    lowest, highest = (values.dtype.type(f(a, b)) for f, a, b in ((max, old.min, new.min), (min, old.max, new.max)))
    return np.clip(values, lowest, highest).astype(dtype)


def normalize(values: Numbers, step: Normalize, axis: int) -> NDArray[np.float32]:
    """Return ``(values * scale - mean) / std`` along an axis, each operation rounded to FP32."""
    shape = [1] * values.ndim
    mean, std = (np.array(constants, dtype=np.float32) for constants in (step.mean, step.std))
    scaled: NDArray[np.float32] = values.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled *= np.float32(step.scale)
        for operate, constants in ((np.subtract, mean), (np.divide, std)):
            shape[axis] = len(constants)
            operate(scaled, constants.reshape(shape), out=scaled)
    return scaled


def pad(values: Numbers, widths: Sequence[tuple[int, int]], step: Pad | PadTo) -> Numbers:
    """Return values with more of them, so many before and after those of each axis."""
    if step.filling == "constant":
        return np.pad(values, widths, mode="constant", constant_values=values.dtype.type(step.value))
    return np.pad(values, widths, mode=step.filling)


def pad_to(values: Numbers, step: PadTo, axis: int) -> Numbers:
    """Return values with an axis of exactly ``step.length`` elements."""
    size = values.shape[axis]
    before, after = step.added(size)
    if size > step.length:
        kept = slice(-before, size + after)
        return values[(*[slice(None)] * axis, kept)].copy()
    return pad(values, [(before, after) if i == axis else (0, 0) for i in range(values.ndim)], step)


KERNELS: Final[dict[type, Compile]] = {
    Cast: one_to_one(lambda values, step: cast(values, step.to)),
    Normalize: one_to_one(lambda values, step: normalize(values, step, step.axis % values.ndim)),
    Pad: one_to_one(lambda values, step: pad(values, [*zip(step.before, step.after, strict=True)], step)),
    PadTo: one_to_one(lambda values, step: pad_to(values, step, step.axis % values.ndim)),
}
