"""When the requests on lent connections have to end. Threads may use it at the same time."""

import math
from collections.abc import Callable

from edged.worker.turns import Ticket


class Deadlines:
    """What is to be stopped, and when.

    Most requests are answered long before their deadline, and most deadlines come later than one that is waited for already. So noting
    one wakes nobody up, unless it is earlier.

    Args:
        wake: Called when ``expire`` has to be called before the moment that it said last.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._ends: dict[Ticket, int] = {}
        self._next_ns = math.inf

    def watch(self, ticket: Ticket, end_ns: int) -> None:
        """Have a run stopped at a moment, in monotonic nanoseconds, unless it is forgotten before."""
        self._ends[ticket] = end_ns
        if end_ns < self._next_ns:
            self._wake()

    def forget(self, ticket: Ticket) -> None:
        """Note that a run has ended."""
        self._ends.pop(ticket, None)

    def expire(self, now_ns: int, stop: Callable[[Ticket], None]) -> float:
        """Stop what is over; called by one thread.

        Returns:
            When to call this again, in monotonic nanoseconds; infinity when nothing is waited for.
        """
        # Whatever is noted from here on wakes us up, so that nothing is missed between looking and going to sleep.
        self._next_ns = math.inf
        next_ns = math.inf
        for ticket, end_ns in list(self._ends.items()):
            if end_ns <= now_ns:
                self.forget(ticket)
                stop(ticket)
            else:
                next_ns = min(next_ns, end_ns)
        self._next_ns = next_ns
        return next_ns
