"""Counts of values by size: cheap to add to, and what a histogram of the Prometheus exposition is written from. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final


class Histogram:
    """Values counted in buckets with fixed upper bounds.

    Args:
        bounds: Largest value of each bucket, in rising order; a last bucket without a bound is added.
    """

    __slots__ = ("_counts", "bounds", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds: Final = tuple(bounds)
        self.sum = 0.0
        """Of all values, in their unit."""
        self._counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value; one that equals a bound belongs to that bound's bucket."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add values that were counted elsewhere, in the same buckets.

        Args:
            counts: Of each bucket by itself, not of those below it.
            total: The sum of those values.
        """
        self._counts = [known + new for known, new in zip(self._counts, counts, strict=True)]
        self.sum += total

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    @property
    def cumulative(self) -> tuple[int, ...]:
        """How many values were no larger than each bound, and at last how many there were at all."""
        return tuple(accumulate(self._counts))
