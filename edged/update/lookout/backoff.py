"""How long to wait before trying again. Pure.

Exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): devices that failed together do
not come back together.
"""

import math
from typing import Final

SHORTEST_POLL: Final = 0.75
LONGEST_POLL: Final = 0.95
"""Shares of the poll interval. The rest of it is for the poll itself, so that what is published is here within one interval."""


def backoff_s(*, failures: int, minimum_s: float, maximum_s: float, draw: float) -> float:
    """Return the seconds to wait after some failures in a row.

    Args:
        failures: At least 1.
        minimum_s: Ceiling of the first wait.
        maximum_s: Ceiling of all later waits.
        draw: A random number from 0 up to, not including, 1.
    """
    doublings = min(failures - 1, 32)  # beyond that every maximum is reached, and a float would overflow
    return draw * min(maximum_s, minimum_s * 2.0**doublings)


def failures_until_s(ceiling_s: float, *, minimum_s: float) -> int:
    """Return after how many failures in a row the wait has at least this ceiling, where the maximum allows it; 1 or more.

    Args:
        ceiling_s: More than 0.
        minimum_s: Ceiling of the first wait, more than 0.
    """
    return max(1, 1 + math.ceil(math.log2(ceiling_s / minimum_s)))


def poll_wait_s(interval_s: float, *, draw: float) -> float:
    """Return the seconds until the next regular poll: somewhat less than the interval, and different on each device and each time.

    Args:
        interval_s: As configured.
        draw: A random number from 0 up to, not including, 1.
    """
    return interval_s * (SHORTEST_POLL + (LONGEST_POLL - SHORTEST_POLL) * draw)
