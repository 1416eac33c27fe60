"""A token bucket: a rate in the long run, with room for a burst. Pure; time is an argument."""

from typing import Final

_ROUNDING: Final = 1e-9
"""Of a token: whoever waited exactly as long as it was told to is not refused for the last bit of a sum."""


class TokenBucket:
    """Gives at most ``burst`` tokens at once, and ``rate_per_s`` a second in the long run; it begins full.

    All times are seconds of one clock that never goes back.
    """

    __slots__ = ("_burst", "_level", "_rate_per_s", "_settled_s")

    def __init__(self, *, rate_per_s: float, burst: int, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._level = float(burst)
        self._settled_s = now_s

    def take(self, now_s: float) -> float:
        """Take a token if there is one.

        Returns:
            0 with the token taken, else seconds until there is one.
        """
        self._settle(now_s)
        if self._level >= 1.0 - _ROUNDING:
            self._level = max(0.0, self._level - 1.0)
            return 0.0
        return (1.0 - self._level) / self._rate_per_s

    def change(self, *, rate_per_s: float, burst: int, now_s: float) -> None:
        """Go on with another rate and burst; what is in the bucket stays, as far as it has room."""
        self._settle(now_s)
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._level = min(self._level, float(burst))

    def is_full(self, now_s: float) -> bool:
        """Tell whether this bucket is like a new one."""
        self._settle(now_s)
        return self._level >= self._burst

    def _settle(self, now_s: float) -> None:
        self._level = min(float(self._burst), self._level + (now_s - self._settled_s) * self._rate_per_s)
        self._settled_s = now_s
