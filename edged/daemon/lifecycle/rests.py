"""What failed for a reason that may pass: how often, and when it is tried again."""

from collections.abc import Hashable
from typing import Final

from edged.clock import Clock

RETRY_AFTER_S: Final = 60.0


class Rests:
    """Counts tries and keeps time for things that are named by any key.

    Args:
        clock: Monotonic.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tries: dict[Hashable, int] = {}
        self._until_s: dict[Hashable, float] = {}

    def begin(self, *key: Hashable) -> int:
        """Rest from now on; returns how often this was tried in vain."""
        self._until_s[key] = self._clock.monotonic_s() + RETRY_AFTER_S
        self._tries[key] = self._tries.get(key, 0) + 1
        return self._tries[key]

    def is_resting(self, *key: Hashable) -> bool:
        """Tell whether it is too early for the next try."""
        return self._until_s.get(key, 0.0) > self._clock.monotonic_s()

    def end(self, *key: Hashable) -> None:
        """Forget it: it succeeded, or it was given up."""
        self._until_s.pop(key, None)
        self._tries.pop(key, None)
