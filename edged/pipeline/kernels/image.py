"""What the steps of ``edged.pipeline.steps.image`` compute."""

from typing import Final

import numpy as np

from edged.pipeline.kernels import resampling
from edged.pipeline.kernels.base import Arrays, Compile, Kernel, Resources, single_file
from edged.pipeline.kernels.decoding import decode_image
from edged.pipeline.kernels.types import check_types
from edged.pipeline.steps.image import Crop, DecodeImage


def _decode_image(step: DecodeImage, _: Resources) -> Kernel:
    return lambda arrays: {
        step.output: decode_image(bytes(single_file(arrays[step.input], "decode_image@1", step.input)), step)
    }


def _crop(step: Crop, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        ((height, width, _),) = (spec.shape for spec in check_types(step, arrays))
        image = arrays[step.input]
        top = (image.shape[0] - height) // 2 if step.top is None else step.top
        left = (image.shape[1] - width) // 2 if step.left is None else step.left
        return {step.output: np.ascontiguousarray(image[top : top + height, left : left + width]).copy()}

    return kernel


KERNELS: Final[dict[type, Compile]] = {Crop: _crop, DecodeImage: _decode_image, **resampling.KERNELS}
