"""How fast bytes come, and how long it will take. Pure."""

from collections import deque
from typing import Final

WINDOW_S: Final = 10.0
"""A rate is that of so many seconds: long enough not to jump, short enough to follow a network that changes."""
LEAST_S: Final = 1.0
"""A rate over less time is none."""


class Meter:
    """Counts bytes as they come."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()
        self._bytes = 0

    def add(self, size: int, *, now_s: float) -> None:
        """Take note of some bytes.

        Args:
            size: How many.
            now_s: Monotonic seconds.
        """
        self._counts.append((now_s, size))
        self._bytes += size
        while self._counts[0][0] < now_s - WINDOW_S:
            self._bytes -= self._counts.popleft()[1]

    def bytes_per_s(self, *, now_s: float) -> float | None:
        """Return the rate of the last seconds; None while too little is known."""
        if not self._counts:
            return None
        began_s, first = self._counts[0]
        elapsed_s = now_s - began_s
        # What came first came before the time that is counted.
        return (self._bytes - first) / elapsed_s if elapsed_s >= LEAST_S else None
