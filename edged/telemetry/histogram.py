"""Counts of values by size: cheap to add to, and what a histogram of the Prometheus exposition is written from. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final


def divided(bounds: Sequence[float], parts: int) -> tuple[float, ...]:
    """Divide each bucket but the first and the last into so many whose bounds are equally far apart by ratio.

    Args:
        bounds: In rising order, above 0; all of them are among what is returned.
        parts: At least 1.
    """
    fine = [bounds[0]]
    for lower, upper in pairwise(bounds):
        fine += [lower * (upper / lower) ** (part / parts) for part in range(1, parts)]
        fine.append(upper)
    return tuple(fine)


class Histogram:
    """Values counted in buckets with fixed upper bounds.

    Args:
        bounds: Largest value of each bucket, in rising order; a last bucket without a bound is added.
        parts: Into how many parts each bucket is divided for whoever looks closer (``divided``).
    """

    __slots__ = ("_counts", "_parts", "bounds", "fine_bounds", "sum")

    def __init__(self, bounds: Sequence[float], *, parts: int = 1) -> None:
        self.bounds: Final = tuple(bounds)
        self.fine_bounds: Final = divided(self.bounds, parts)
        self.sum = 0.0
        """Of all values, in their unit."""
        self._parts = parts
        self._counts = [0] * (len(self.fine_bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value; one that equals a bound belongs to that bound's bucket."""
        self._counts[bisect_left(self.fine_bounds, value)] += 1
        self.sum += value

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add values that were counted elsewhere, in the same buckets.

        Args:
            counts: Of each part of a bucket by itself, not of those below it.
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
        fine = self.fine_cumulative
        return (*fine[: -1 : self._parts], fine[-1])

    @property
    def fine_cumulative(self) -> tuple[int, ...]:
        """The same for each of ``fine_bounds``."""
        return tuple(accumulate(self._counts))
