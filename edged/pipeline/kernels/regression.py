"""What the steps of ``edged.pipeline.steps.regression`` compute."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.pipeline.kernels.base import Compile
from edged.pipeline.kernels.types import one_to_one
from edged.pipeline.steps.regression import DialReading, Scale

TURN: Final = 360.0
"""Degrees."""


def scaled(values: NDArray[np.float32], step: Scale) -> NDArray[np.float32]:
    """Return ``x * gain + offset``, cut to what the step allows."""
    with np.errstate(invalid="ignore", over="ignore"):  # what becomes infinite is defined
        results = values.astype(np.float64) * step.gain + step.offset
        if step.low is not None:
            results = np.maximum(results, step.low)
        if step.high is not None:
            results = np.minimum(results, step.high)
        return np.asarray(results, dtype=np.float32)


def readings(angles: NDArray[np.float32], step: DialReading) -> NDArray[np.float32]:
    """Return what a dial shows for some angles in degrees."""
    sweep = abs(step.sweep_degrees)
    with np.errstate(invalid="ignore", over="ignore"):
        turned = np.mod((angles.astype(np.float64) - step.start_degrees) * np.sign(step.sweep_degrees), TURN)
        # Of a very small angle below 0 the modulus is rounded to a whole turn, which is none.
        turned = np.where(turned == TURN, 0.0, turned)
        turned = np.where(turned > (TURN + sweep) / 2, turned - TURN, turned)
        if not step.extends:
            turned = np.clip(turned, 0.0, sweep)
        return np.asarray(step.low + (step.high - step.low) * turned / sweep, dtype=np.float32)


KERNELS: Final[dict[type, Compile]] = {Scale: one_to_one(scaled), DialReading: one_to_one(readings)}
