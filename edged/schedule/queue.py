"""Which of the requests that wait for a model goes next. Pure: no clock, no worker, no I/O.

The rules, in order:

(1) lanes       requests of one sequence never run at once and keep the order in which they came; only the first of them is in line
(2) classes     an interactive request goes before every background one
(3) priority    within a class the smallest number goes first, then whoever came first
(4) nobody starves: of ``FAIR_EVERY`` choices in a row that were made while both classes were in line, at least one is a background
    request; and of as many choices from one class while several priorities were in line, at least one is whoever waits longest.
    Class and priority are what callers say of themselves, so they may delay the others, but not for ever.

The queue is bounded. In a full one an interactive request takes the place of the least urgent background request; anything else is
refused. Deadlines are kept here, but whoever owns the queue looks at the time.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from itertools import chain
from typing import Final, Generic, TypeVar

from edged.errors import UnavailableError
from edged.runtime.calls import Call, RequestClass

FAIR_EVERY: Final = 16
NO_WISH: Final = 4
"""What priority 0 means: there is room for more urgent and for less urgent requests."""


def displaced_error() -> UnavailableError:
    """Return what a request is finished with that gave up its place."""
    return UnavailableError(
        "the queue is full, and a more urgent request took its place",
        hint="Send fewer background requests at once, or wait for Retry-After.",
        limit="serve.max_queued",
    )


class Pending:
    """A call that waits, and what its turn depends on.

    Args:
        call: Not finished.
        arrived_s: Monotonic seconds.
    """

    __slots__ = (
        "arrived_s", "call", "deadline_s", "is_background", "is_waiting", "kind", "lane", "number", "priority", "rows",
    )  # fmt: skip

    def __init__(self, call: Call, *, arrived_s: float) -> None:
        request = call.request
        self.call: Final = call
        self.arrived_s: Final = arrived_s
        self.deadline_s: Final = request.deadline_s
        self.is_background: Final = request.request_class is RequestClass.BACKGROUND
        self.priority: Final = request.priority or NO_WISH
        self.lane: Final[Hashable] = None if request.sequence is None else (request.uid, request.sequence.id)
        """The sequence it belongs to, or None."""
        self.number = 0
        """Its place in the order of arrival; given by the queue."""
        self.is_waiting = False
        """Whether it is in the queue; kept by the queue."""
        self.kind: Hashable = None
        """Requests of one kind may share a run; None runs by itself. Set, like ``rows``, where runs are shared."""
        self.rows = 1

    @property
    def rank(self) -> int:
        """Among runs that wait for the same core, the smallest goes first."""
        return rank_of(self.priority, is_background=self.is_background)


def rank_of(priority: int, *, is_background: bool) -> int:
    """Return a number that is smaller for what is more urgent, over both classes; 0 as priority is no wish."""
    return min(priority or NO_WISH, 0xFFFF) + (0x10000 if is_background else 0)


P = TypeVar("P", bound=Pending)


class Queue(Generic[P]):
    """The requests that wait for one model, and the lanes of those that run."""

    def __init__(self) -> None:
        self._interactive = _Line[P]()
        self._background = _Line[P]()
        self._behind: dict[Hashable, deque[P]] = {}
        """For each lane with a request in line or running: those that wait behind it."""
        self._count = 0
        self._next_number = 0
        self._background_passed = 0
        """Interactive requests chosen in a row while background ones were in line."""

    def __len__(self) -> int:
        """Return how many wait, in line and behind others of their sequence."""
        return self._count

    def __iter__(self) -> Iterator[P]:
        """Give every request that waits, in no order."""
        return chain(self._interactive, self._background, *self._behind.values())

    def add(self, pending: P, *, max_queued: int) -> P | None:
        """Let a request wait.

        Returns:
            The background request that gave up its place and waits no longer, if one had to.

        Raises:
            UnavailableError: The queue is full.
        """
        displaced = None
        if self._count >= max_queued:
            displaced = None if pending.is_background else self._least_urgent()
            if displaced is None:
                raise UnavailableError(
                    f"{max_queued} requests are waiting for this model already",
                    hint="Send fewer requests at once, or wait for Retry-After.",
                    limit="serve.max_queued",
                )
            self.remove(displaced)
        pending.number = self._next_number
        self._next_number += 1
        self._count += 1
        pending.is_waiting = True
        if pending.lane is None:
            self._line_of(pending).add(pending)
        elif (behind := self._behind.get(pending.lane)) is None:
            self._behind[pending.lane] = deque()
            self._line_of(pending).add(pending)
        else:
            behind.append(pending)
        return displaced

    def first(self) -> P | None:
        """Return who goes next, and keep it; None when nobody may go now."""
        if not self._count:
            return None
        line = self._next_line()
        return line.first() if line.entries else None

    def in_turn(self) -> Iterator[P]:
        """Give who goes next, and then the others of its class in line, in their order."""
        line = self._next_line()
        if line.entries:
            first = line.first()
            yield first
            yield from (pending for pending in line if pending is not first)

    def take(self, together: Sequence[P]) -> None:
        """Take requests out of the queue to run them together.

        Args:
            together: Of what ``in_turn`` gives, the first and any others. Their lanes stay theirs until ``leave``.
        """
        first = together[0]
        line = self._line_of(first)
        if first.is_background or not self._background.entries:
            self._background_passed = 0
        else:
            self._background_passed += 1
        line.take(together)
        self._count -= len(together)
        for pending in together:
            pending.is_waiting = False

    def put_back(self, pending: P) -> None:
        """Let a request that was taken wait again, in its old place; not one of a sequence, and whether or not the queue is full."""
        self._count += 1
        pending.is_waiting = True
        self._line_of(pending).add(pending)

    def leave(self, pending: P) -> None:
        """Say that a request that was taken has ended; the next of its sequence gets in line."""
        if pending.lane is not None:
            self._next_of(pending.lane)

    def remove(self, pending: P) -> None:
        """Drop a request that waits."""
        self._count -= 1
        pending.is_waiting = False
        if self._line_of(pending).remove(pending):
            self.leave(pending)
        else:
            self._behind[pending.lane].remove(pending)

    def expire(self, now_s: float) -> list[P]:
        """Drop the requests whose deadline has come, and return them."""
        late = [pending for pending in self if pending.deadline_s <= now_s]
        for pending in late:
            self.remove(pending)
        return late

    def next_deadline_s(self) -> float:
        """Return the earliest deadline of all that wait; infinity when nobody does."""
        return min((pending.deadline_s for pending in self), default=math.inf)

    def _next_line(self) -> "_Line[P]":
        is_their_turn = not self._interactive.entries or self._background_passed >= FAIR_EVERY - 1
        return self._background if is_their_turn and self._background.entries else self._interactive

    def _line_of(self, pending: P) -> "_Line[P]":
        return self._background if pending.is_background else self._interactive

    def _next_of(self, lane: Hashable) -> None:
        behind = self._behind[lane]
        if behind:
            pending = behind.popleft()
            self._line_of(pending).add(pending)
        else:
            del self._behind[lane]

    def _least_urgent(self) -> P | None:
        waiting = (pending for pending in self if pending.is_background)
        return max(waiting, key=lambda pending: (pending.priority, pending.number), default=None)


class _Line(Generic[P]):
    """The requests of one class that may go, most urgent first."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, int, P]] = []
        self._passed = 0
        """Choices in a row that may have passed over whoever waits longest."""

    def __iter__(self) -> Iterator[P]:
        return (entry[2] for entry in self.entries)

    def add(self, pending: P) -> None:
        """Put a request where it belongs."""
        insort(self.entries, (pending.priority, pending.number, pending))

    def first(self) -> P:
        """Return who goes next."""
        if self._passed >= FAIR_EVERY - 1 and self._has_several_priorities():
            return min(self.entries, key=lambda entry: entry[1])[2]
        return self.entries[0][2]

    def take(self, together: Sequence[P]) -> None:
        """Remove the requests that were chosen."""
        is_fair = self._passed >= FAIR_EVERY - 1 or not self._has_several_priorities()
        self._passed = 0 if is_fair else self._passed + 1
        for pending in together:
            self.remove(pending)

    def remove(self, pending: P) -> bool:
        """Remove a request; False when it is not in line."""
        at = bisect_left(self.entries, (pending.priority, pending.number))
        if at == len(self.entries) or self.entries[at][2] is not pending:
            return False
        del self.entries[at]
        return True

    def _has_several_priorities(self) -> bool:
        return self.entries[0][0] != self.entries[-1][0]
