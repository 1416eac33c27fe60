"""Made-up inputs for a model of which nothing is known but its signature: shapes, and numbers of a fixed seed.

Free axes are made small: the first is taken for the batch and is 1, the others all have one size, which is tried from a list, because
what models take is often a multiple of 32 or one certain size. Sizes that would make more values than a small machine has room for are left
out. What answers to none of these inputs wants better ones from its developer.

Numbers are such as models take, whatever they are for: fractions from 0 to 1, bytes of all values, and of wider integers only 0 and 1,
which are good as flags, as masks and as places in a table of any length.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Final

import numpy as np

from edged.pipeline.datatypes import NUMBERS
from edged.pipeline.kernels.types import NUMPY
from edged.pipeline.spec import Datatype, TensorSpec
from edged.runtime.tensors import Tensor
from edged.worker.arrays import Array, to_tensor

SIZES: Final = (8, 32, 64, 128, 224, 256, 640, 16, 4, 2, 1)
MOST_VALUES: Final = 1 << 24
"""Of all inputs together; they are made with 8 bytes each."""
SEED: Final = 20260101
_DIGITS: Final = 3
"""Of fractions, so that examples are readable."""
_WORDS: Final = (b"one", b"two", b"three", b"four", b"five")

Shapes = Sequence[tuple[int, ...]]
"""One for each input."""


def possible_shapes(inputs: Sequence[TensorSpec]) -> Iterator[Shapes]:
    """Give the shapes to try, each once, those that are likeliest to be right first; one at least, however large it is."""
    seen: set[tuple[tuple[int, ...], ...]] = set()
    for is_batch in (True, False):
        for size in SIZES:
            shapes = tuple(_filled(spec.shape, size, is_batch=is_batch) for spec in inputs)
            if shapes not in seen and (not seen or sum(map(prod, shapes)) <= MOST_VALUES):
                seen.add(shapes)
                yield shapes


def make_inputs(inputs: Sequence[TensorSpec], shapes: Shapes, *, number: int) -> list[Tensor]:
    """Make the ``number``-th inputs of these shapes; always the same."""
    random = np.random.default_rng((SEED, number))
    return [
        to_tensor(spec.name, _values(spec.dtype, shape, random)) for spec, shape in zip(inputs, shapes, strict=True)
    ]


def _filled(shape: Sequence[int], size: int, *, is_batch: bool) -> tuple[int, ...]:
    return tuple(axis if axis >= 0 else 1 if is_batch and i == 0 else size for i, axis in enumerate(shape))


def _values(dtype: Datatype, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    if dtype == "BYTES":
        return np.array(_WORDS, dtype=object)[random.integers(len(_WORDS), size=prod(shape))].reshape(shape)
    number = NUMBERS[dtype]
    if number.is_float:
        return np.asarray(random.random(shape).round(_DIGITS)).astype(NUMPY[dtype])
    is_byte = dtype in {"UINT8", "INT8"}
    lowest, highest = (int(number.lowest), int(number.highest)) if is_byte else (0, 1)
    return np.asarray(random.integers(lowest, highest, size=shape, endpoint=True)).astype(NUMPY[dtype])
