"""A time limit that is moved with each request and hardly ever reached."""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls ``late`` once the time set is over.

    Setting, moving and clearing cost no timer of the loop's as long as the one there is comes early enough: when it fires too early,
    it waits for the rest. So a connection that answers a thousand requests makes a timer or two.
    """

    __slots__ = ("_at_s", "_late", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Callable[[], None]) -> None:
        self._loop = loop
        self._late = late
        self._at_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Set the limit, from now."""
        self._at_s = at_s = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > at_s:
            self._stop_timer()
            self._timer = self._loop.call_at(at_s, self._fired)

    def clear(self) -> None:
        """Have no limit."""
        self._at_s = None

    def end(self) -> None:
        """Have no limit ever again, and let go of the loop and of whoever is called."""
        self._at_s = None
        self._stop_timer()
        self._late = _nothing

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fired(self) -> None:
        self._timer = None
        if self._at_s is None:
            return
        if self._loop.time() < self._at_s:
            self._timer = self._loop.call_at(self._at_s, self._fired)
            return
        self._at_s = None
        self._late()


def _nothing() -> None:
    """Stand in for whoever need not be called any more."""
