"""Whether two versions of a model gave like answers to one request. Pure, and without numpy, which the daemon does not load.

What two outputs of one name need to be alike, in order:

(1) kind       the same datatype, and the same shape unless they are sets of labels
(2) the same   outputs with the same bytes are alike in every way
(3) tolerance  where the newer version's manifest has one for its validation, it holds here, too, with the older version's answer in the
               place of the golden one. A ``top_1`` holds in one request when it holds in each row.
(4) labels     without a tolerance, texts, integers and booleans have to be equal
(5) scores     without a tolerance, numbers with fractions differ between any two versions that were not trained alike, so any will do.
               With or without one, there must be neither NaN nor infinity, unless the older version has some: then its answer is nothing
               to hold another one against.

Nobody waits for a comparison, but it is made where requests are answered: of numbers, no more than ``MOST_ELEMENTS`` of an output are
looked at. Those are the elements of evenly spaced rows (last axis), or the first of a row that has more by itself.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from edged.bundle.manifest import Tolerance
from edged.pipeline.datatypes import NUMBERS, unpack
from edged.runtime.tensors import Tensor, elements_of
from edged.validation.closeness import Numbers, best_elements, direction_beyond, distance_beyond, labels_beyond

MOST_ELEMENTS: Final = 1024
"""Comparing so many floats takes a tenth to half of a millisecond here, in which nobody else is answered."""


def unlike_outputs(older: Sequence[Tensor], newer: Sequence[Tensor], tolerances: Mapping[str, Tolerance]) -> list[str]:
    """Return the names of the older version's outputs that the newer one did not answer alike.

    Args:
        older: Its whole answer.
        newer: To the same request.
        tolerances: By output; see (3).

    Raises:
        TensorError: The bytes of a tensor are not those of its datatype and shape.
    """
    found = {tensor.name: tensor for tensor in newer}
    return [
        tensor.name
        for tensor in older
        if tensor.name not in found or not is_alike(tensor, found[tensor.name], tolerances.get(tensor.name))
    ]


def is_alike(older: Tensor, newer: Tensor, tolerance: Tolerance | None) -> bool:
    """Tell whether two outputs are alike, by the rules above.

    Raises:
        TensorError: As ``unlike_outputs``.
    """
    is_set = older.dtype == "BYTES" and tolerance is not None and tolerance.label_set is not None
    if older.dtype != newer.dtype or (older.shape != newer.shape and not is_set):  # (1)
        return False
    # As bytes, which costs a copy at most: views are compared one element after the other, 16 MiB of them in 90 ms.
    if older.shape == newer.shape and bytes(older.data) == bytes(newer.data):  # (2)
        return True
    if older.dtype == "BYTES":
        least = None if tolerance is None else tolerance.label_set
        return least is not None and not labels_beyond(_labels(newer), _labels(older), least)
    return _are_near(older, newer, tolerance)


def _are_near(older: Tensor, newer: Tensor, tolerance: Tolerance | None) -> bool:
    if tolerance is None and not NUMBERS[older.dtype].is_float:  # (4)
        return False
    shape, wanted = _sample(older)
    _, got = _sample(newer)
    if not all(map(math.isfinite, wanted)):
        return True
    if not all(map(math.isfinite, got)):
        return False
    return tolerance is None or _holds(tolerance, got, wanted, shape)  # (5), (3)


def _holds(tolerance: Tolerance, got: Numbers, wanted: Numbers, shape: Sequence[int]) -> bool:
    of_elements = tolerance.absolute is not None or tolerance.relative is not None
    of_rows = tolerance.cosine is not None or tolerance.top_1 is not None
    if (of_elements or not of_rows) and distance_beyond(got, wanted, shape, tolerance):
        return False
    if tolerance.cosine is not None and direction_beyond(got, wanted, shape, tolerance.cosine):
        return False
    return tolerance.top_1 is None or best_elements(got, shape) == best_elements(wanted, shape)


def _sample(tensor: Tensor) -> tuple[tuple[int, ...], Numbers]:
    """Return the shape and the values of what is looked at."""
    size = NUMBERS[tensor.dtype].size_bytes
    data = memoryview(tensor.data).cast("B")
    count = data.nbytes // size
    if count <= MOST_ELEMENTS:
        return tensor.shape, unpack(tensor.dtype, data)
    row = tensor.shape[-1]
    taken = min(row, MOST_ELEMENTS)
    rows = range(0, count // row, math.ceil(count / row / (MOST_ELEMENTS // taken)))
    values = [value for i in rows for value in unpack(tensor.dtype, data[i * row * size :][: taken * size])]
    return (len(rows), taken), values


def _labels(tensor: Tensor) -> list[str]:
    elements = elements_of(tensor, memoryview(tensor.data))
    return [element.decode("utf-8", "replace") for element in islice(elements, MOST_ELEMENTS)]
