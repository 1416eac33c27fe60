"""What the steps of ``edged.pipeline.steps.shapes`` compute."""

from typing import Final

import numpy as np

from edged.pipeline.kernels.base import Array, Arrays, Compile, Kernel, Resources
from edged.pipeline.kernels.types import check_types, one_to_one
from edged.pipeline.steps.shapes import Concat, Layout, Reshape, Stack, Transpose


def layout(image: Array, step: Layout) -> Array:
    """Return an image with its axes in another order; it has those of ``step.from_``, and one N where that is dropped."""
    letters: str = step.from_
    if "N" in letters and "N" not in step.to:
        image, letters = image[0], letters[1:]
    elif "N" in step.to and "N" not in letters:
        image, letters = image[np.newaxis], f"N{letters}"
    if step.channels == "reversed":
        image = np.flip(image, letters.index("C"))
    return image.transpose([letters.index(letter) for letter in step.to]).copy()


def _concat(step: Concat, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        check_types(step, arrays)
        return {step.output: np.concatenate([arrays[name] for name in step.inputs], axis=step.axis)}

    return kernel


def _stack(step: Stack, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        check_types(step, arrays)
        return {step.output: np.stack([arrays[name] for name in step.inputs], axis=step.axis)}

    return kernel


def _reshape(step: Reshape, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        (given,) = check_types(step, arrays)
        return {step.output: arrays[step.input].reshape(given.shape).copy()}

    return kernel


KERNELS: Final[dict[type, Compile]] = {
    Concat: _concat,
    Layout: one_to_one(layout),
    Reshape: _reshape,
    Stack: _stack,
    Transpose: one_to_one(lambda array, step: array.transpose(step.axes).copy()),
}
