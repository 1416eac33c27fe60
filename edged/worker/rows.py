"""Several requests in one run of the model: their inputs one below the other, and the outputs cut apart again. Pure.

Only for models whose manifest promises that rows (the first axis of every tensor) do not depend on each other.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from edged.errors import BundleError
from edged.worker.arrays import Array

Arrays = Mapping[str, Array]
Kind = tuple[tuple[str, tuple[int, ...]], ...]


def group(feeds: Mapping[int, Arrays]) -> list[list[int]]:
    """Return which inputs can be joined, in their order: those that differ in nothing but their number of rows.

    Args:
        feeds: The model's inputs for each of some requests. One whose inputs do not all have the same number of rows stays alone.
    """
    groups: dict[Kind, list[int]] = {}
    alone = []
    for i, feed in feeds.items():
        if len({array.shape[:1] for array in feed.values()}) == 1:
            groups.setdefault(tuple((name, feed[name].shape[1:]) for name in sorted(feed)), []).append(i)
        else:
            alone.append([i])
    return [*groups.values(), *alone]


def join(feeds: Sequence[Arrays]) -> dict[str, Array]:
    """Put inputs one below the other; they are of one group."""
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}


def rows_of(feed: Arrays) -> int:
    """Return the number of rows of inputs that are in a group with others."""
    return len(next(iter(feed.values())))


def split(outputs: Arrays, rows: Iterable[int]) -> list[dict[str, Array]]:
    """Cut outputs apart, without copying.

    Args:
        outputs: Of one run.
        rows: How many belong to each request, in order.

    Raises:
        BundleError: The outputs do not have a row for each row of the inputs.
    """
    counts = list(rows)
    total = sum(counts)
    for name, array in outputs.items():
        if array.shape[:1] != (total,):
            raise BundleError(
                f"the model gives {name} as {list(array.shape)} for {total} rows",
                hint="Remove batching from the manifest: the rows of this model depend on each other.",
            )
    parts = []
    start = 0
    for count in counts:
        parts.append({name: array[start : start + count] for name, array in outputs.items()})
        start += count
    return parts
