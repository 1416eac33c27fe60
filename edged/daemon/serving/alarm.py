"""One timer for many deadlines."""

import asyncio
import math
from collections.abc import Callable


class Alarm:
    """Rings at the earliest of the moments it was told.

    Most requests are answered long before their deadline, so a timer for each would be set and cancelled for nothing. This one is set
    anew only for a moment earlier than the one it waits for; whoever hears it says what is next.

    Args:
        ring: Called on the event loop with the loop's time, in seconds; no moment is watched then.
    """

    def __init__(self, ring: Callable[[float], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._at_s = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, at_s: float) -> None:
        """Ring no later than this moment of the loop's clock; infinity is none."""
        if at_s >= self._at_s:
            return
        self.cancel()
        self._at_s = at_s
        self._timer = self._loop.call_at(at_s, self._rings)

    def cancel(self) -> None:
        """Watch nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._at_s = math.inf

    def _rings(self) -> None:
        # The loop may call a timer early by the resolution of its clock.
        now_s = max(self._loop.time(), self._at_s)
        self._timer, self._at_s = None, math.inf
        self._ring(now_s)
