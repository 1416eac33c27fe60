"""When an endpoint that failed is asked again. Pure; time is an argument, seconds of a clock that never goes back.

After ``FAILURES`` failures in a row nobody is sent there for ``FIRST_REST_S``, twice as long after every further one, ``LONGEST_REST_S`` at
most. What the endpoint itself asks for (Retry-After) holds at once, and longer where it is more. When the rest is over one request goes,
and the others wait for what becomes of it; a success forgets everything.
"""

from typing import Final

FAILURES: Final = 3
FIRST_REST_S: Final = 10.0
LONGEST_REST_S: Final = 600.0
TRIAL_S: Final = 60.0
"""A trial request that says nothing for so long stands in nobody's way any more."""


class Breaker:
    """What is known of one endpoint."""

    def __init__(self) -> None:
        self._failures = 0
        self._rests_until_s = 0.0
        self._trial_until_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the endpoint failed too often, or asked for a rest, and has not answered since."""
        return self._rests_until_s > 0

    def wait_s(self, now_s: float) -> float:
        """Return after how many seconds a request may be sent; 0 is now, and this one is the trial if one is due."""
        if not self.is_open:
            return 0.0
        if (left_s := max(self._rests_until_s, self._trial_until_s) - now_s) > 0:
            return left_s
        self._trial_until_s = now_s + TRIAL_S
        return 0.0

    def rest_s(self, now_s: float) -> float:
        """Return for how many seconds more it rests; asks for nothing."""
        return max(0.0, self._rests_until_s - now_s)

    def gave_up(self) -> None:
        """Take note of a request that ended without saying anything about the endpoint: another may be the trial."""
        self._trial_until_s = 0.0

    def succeeded(self) -> None:
        """Take note of an answer."""
        self._failures = 0
        self._rests_until_s = self._trial_until_s = 0.0

    def failed(self, now_s: float, *, retry_after_s: float | None = None) -> bool:
        """Take note of a failure that was the endpoint's.

        Args:
            now_s: The time.
            retry_after_s: As it asked for.

        Returns:
            Whether it rests from now on and did not before.
        """
        was_open = self.is_open
        self._failures += 1
        over = self._failures - FAILURES
        rest_s = min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(over, 16)) if over >= 0 else 0.0
        rest_s = max(rest_s, retry_after_s or 0.0)
        if rest_s > 0:
            self._rests_until_s = max(self._rests_until_s, now_s + rest_s)
        self._trial_until_s = 0.0
        return self.is_open and not was_open
