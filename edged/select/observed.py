"""What is made of the time that runs of a variant took and of the memory that its worker had. Pure."""

import math
from collections.abc import Sequence
from itertools import pairwise
from operator import add, sub
from typing import Final

from edged.select.decision import Measured

FEWEST_RUNS: Final = 20
"""Fewer say nothing about one run in twenty."""
MOST_RUNS: Final = 2000
"""Once so many are known, each counts for half: a device is judged by how it is, not by how it was when it was cool."""
LEAST_CHANGE: Final = 0.1
"""Share by which a figure has to differ to be another one."""


def add_runs(known: Sequence[int], new: Sequence[int]) -> tuple[int, ...]:
    """Add new runs to those that are known.

    Args:
        known: Runs by bucket; of other buckets than ``new``, or empty, it counts for nothing.
        new: Likewise.
    """
    runs = tuple(map(add, known, new)) if len(known) == len(new) else tuple(new)
    return tuple(count // 2 for count in runs) if sum(runs) >= MOST_RUNS else runs


def by_bucket(cumulative: Sequence[int]) -> tuple[int, ...]:
    """Return how many values are in each bucket, from how many are no larger than its bound."""
    return tuple(map(sub, cumulative, (0, *cumulative[:-1])))


def p95_s(runs: Sequence[int], bounds_s: Sequence[float]) -> float | None:
    """Return the time that 95 of 100 runs took at most; None where too few are known.

    Args:
        runs: By bucket; the last one has no bound.
        bounds_s: Of the other buckets, rising, seconds.

    Returns:
        A point within the bucket that it is in, as if its runs were evenly spread; for the last bucket, the largest bound.
    """
    total = sum(runs)
    if total < FEWEST_RUNS:
        return None
    rank, below = math.ceil(0.95 * total), 0
    for count, (lower, upper) in zip(runs, pairwise((0.0, *bounds_s)), strict=False):
        if below + count >= rank:
            return lower + (upper - lower) * (rank - below) / count
        below += count
    return bounds_s[-1]


def is_like(one: Measured | None, other: Measured | None) -> bool:
    """Tell whether two measurements say the same as far as decisions go."""
    if one is None or other is None:
        return one is other
    return (
        _is_near(one.latency_s, other.latency_s)
        and _is_near(one.memory_bytes, other.memory_bytes)
        and _is_near(one.joules, other.joules)
        and _is_near(one.watts, other.watts)
    )


def _is_near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=LEAST_CHANGE)
