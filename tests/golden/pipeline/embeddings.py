"""Golden cases of ``edged.pipeline.steps.embeddings``."""

import numpy as np

from edged.pipeline.steps.embeddings import L2Normalize, MeanPool
from tests.golden.pipeline.vectors import case

POOL = MeanPool(input="tokens", mask="mask", output="text")
NORMALIZE = L2Normalize(input="vector", output="direction")

CASES = [
    case(
        "two texts, one of them shorter",
        POOL,
        {
            "tokens": np.arange(24, dtype=np.float32).reshape(2, 4, 3) / 7,
            "mask": np.array([[1, 1, 1, 1], [1, 1, 0, 0]]),
        },
    ),
    case(
        "nothing that counts, and NaN that does not",
        POOL,
        {
            "tokens": np.array([[[1, 2], [3, 4]], [[np.nan, np.inf], [5, 6]]], dtype=np.float32),
            "mask": np.array([[0, 0], [0, 1]]),
        },
    ),
    case("rows", NORMALIZE, {"vector": np.array([[3, 4], [-1e30, 1e30], [0, 0], [1e-30, 0]], dtype=np.float32)}),
    case("what is not finite", NORMALIZE, {"vector": np.array([[np.inf, 1], [np.nan, 1]], dtype=np.float32)}),
]
