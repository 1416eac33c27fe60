"""What failed for a reason that may pass: how often, and when it is tried again."""

from collections.abc import Hashable
from typing import Final

from edged.clock import Clock

RETRY_AFTER_S: Final = 60.0


class Rests:
    """Counts tries and keeps time for things that are named by any key.

    Args:
        clock: Monotonic.
        most_s: How long a rest may become; each is twice as long as the one before.
    """

    def __init__(self, clock: Clock, *, most_s: float = RETRY_AFTER_S) -> None:
        self._clock = clock
        self._most_s = most_s
        self._tries: dict[Hashable, int] = {}
        self._until_s: dict[Hashable, float] = {}

    def begin(self, *key: Hashable) -> int:
        """Rest from now on; returns how often this was tried in vain."""
        tries = self._tries.get(key, 0) + 1
        self._tries[key] = tries
        self._until_s[key] = self._clock.monotonic_s() + min(RETRY_AFTER_S * 2.0 ** min(tries - 1, 30), self._most_s)
        return tries

    def is_resting(self, *key: Hashable) -> bool:
        """Tell whether it is too early for the next try."""
        return self._until_s.get(key, 0.0) > self._clock.monotonic_s()

    def end(self, *key: Hashable) -> None:
        """Forget it: it succeeded, or it was given up."""
        self._until_s.pop(key, None)
        self._tries.pop(key, None)
