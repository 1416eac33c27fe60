"""What the steps of ``edged.pipeline.steps.embeddings`` compute."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.errors import TensorError
from edged.pipeline.kernels.base import Arrays, Compile, Kernel, Resources
from edged.pipeline.kernels.types import check_types, one_to_one
from edged.pipeline.steps.embeddings import L2Normalize, MeanPool


def mean_pool(vectors: NDArray[np.float32], counts: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return for each row of FP32 [b, t, d] the mean of the vectors that count."""
    means = np.zeros((vectors.shape[0], vectors.shape[2]), dtype=np.float32)
    with np.errstate(invalid="ignore"):  # the sum of opposite infinities is NaN, as ever
        for mean, row, is_in in zip(means, vectors, counts, strict=True):
            if is_in.any():
                # The sum of a middle axis adds one vector after the other, so its order is no matter of the processor.
                mean[:] = row[is_in].sum(axis=0, dtype=np.float64) / np.count_nonzero(is_in)
    return means


def l2_normalize(vectors: NDArray[np.float32], _: L2Normalize) -> NDArray[np.float32]:
    """Return each vector along the last axis divided by its Euclidean length; one of zeros as it is."""
    wide = vectors.astype(np.float64)
    with np.errstate(invalid="ignore"):  # what is not finite is defined
        lengths = np.sqrt(np.square(wide).sum(axis=-1, keepdims=True))
        return np.asarray(wide / np.where(lengths == 0, 1.0, lengths), dtype=np.float32)


def _mean_pool(step: MeanPool, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        check_types(step, arrays)
        vectors, mask = arrays[step.input].astype(np.float32, copy=False), arrays[step.mask]
        counts = mask == 1
        if not (counts | (mask == 0)).all():
            raise TensorError(f"step mean_pool@1: an element of {step.mask} is neither 0 nor 1")
        return {step.output: mean_pool(vectors, counts)}

    return kernel


KERNELS: Final[dict[type, Compile]] = {MeanPool: _mean_pool, L2Normalize: one_to_one(l2_normalize)}
