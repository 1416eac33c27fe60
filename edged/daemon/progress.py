"""Signs of progress: more time to start with each of them, and something for systemd's watchdog later."""

from typing import Final

from edged.clock import Clock
from edged.notify import Notifier

STUCK_MARGIN_S: Final = 30.0
"""Beyond the longest single step, loading a model or running a request, systemd may take silence for being stuck."""


class Progress:
    """Remembers the last sign of progress.

    Args:
        clock: Monotonic.
        notifier: Told of every sign until starting is over.
        longest_step_s: Seconds that the longest single step may take.
    """

    def __init__(self, clock: Clock, notifier: Notifier, *, longest_step_s: float) -> None:
        self._clock = clock
        self._stuck_after_s = longest_step_s + STUCK_MARGIN_S
        self._notifier = notifier
        self._last_s = clock.monotonic_s()
        self._is_started = False

    def beat(self) -> None:
        """Say that something got done."""
        self._last_s = self._clock.monotonic_s()
        if not self._is_started:
            self._notifier.extend_start(self._stuck_after_s)

    def started(self) -> None:
        """Say that starting is over."""
        self._is_started = True

    def is_recent(self) -> bool:
        """Tell whether something got done lately."""
        return self._clock.monotonic_s() - self._last_s < self._stuck_after_s
