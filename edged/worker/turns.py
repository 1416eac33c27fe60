"""Lets so many runs at once execute the model; among those that wait, the one with the smallest rank goes first.

Threads that come while a core is free pass without waiting. One that waits sleeps on a lock of its own, and whoever leaves passes the
turn on to it, so that nobody who comes later slips in between. A run that is stopped while it waits leaves the line at once.

Each turn has a lane, a number, by which runs that execute at the same time keep off each other's cores (``edged.worker.cores``).
"""

import heapq
import itertools
import threading
import time
from typing import Final

from edged.worker.backends import Stop, stopped
from edged.worker.cores import ANYWHERE, Cores
from edged.worker.lead import SHORT_S

FADE: Final = 0.8


class Ticket:
    """One run on its way through the line; used for one run only.

    Args:
        stop: Stops the run while the model executes.
        rank: The smallest goes first.
    """

    __slots__ = ("began_s", "has_turn", "is_stopped", "lane", "rank", "stop", "waited_s", "wake")

    def __init__(self, stop: Stop, rank: int) -> None:
        self.stop = stop
        self.rank = rank
        self.waited_s = 0.0
        """Seconds spent in the line."""
        self.began_s = 0.0
        """When it got its turn."""
        # The rest belongs to ``Turns`` and is only touched under its lock, or while it has its turn.
        self.lane = ANYWHERE
        self.wake: threading.Lock | None = None
        self.has_turn = False
        self.is_stopped = False


class Turns:
    """The line before the model.

    Args:
        at_once: Most runs that have a turn at a time.
        cores: Where they execute.
    """

    def __init__(self, at_once: int, cores: Cores) -> None:
        self._lock = threading.Lock()
        self._at_once = at_once
        self._cores = cores
        self._free = list(range(at_once))
        """Lanes."""
        self._typical_s = 1.0
        """How long a turn may take: the longest, less a part of it with each one that was shorter."""
        self._line: list[tuple[int, int, Ticket]] = []
        self._order = itertools.count()
        self._asked = 0

    @property
    def asked(self) -> int:
        """How often a turn was asked for so far."""
        return self._asked

    @property
    def is_idle(self) -> bool:
        """Whether nobody has a turn, so that nobody waits for one either."""
        return len(self._free) == self._at_once

    def is_short(self) -> bool:
        """Tell whether the next turn can be expected to take less than ``SHORT_S``."""
        return self._typical_s < SHORT_S

    def enter(self, ticket: Ticket) -> None:
        """Wait for a turn. Whoever returns from here calls ``leave``; the same ticket may then enter again.

        Raises:
            DeadlineError: The run was stopped.
        """
        wake = None
        with self._lock:
            self._asked += 1
            if ticket.is_stopped:
                raise stopped()
            is_alone = self.is_idle
            if self._free:
                ticket.lane = self._free.pop()
            else:
                ticket.has_turn = False
                ticket.wake = wake = threading.Lock()
                wake.acquire()
                heapq.heappush(self._line, (ticket.rank, next(self._order), ticket))
        if wake is not None:
            self._wait(ticket, wake)
        self._cores.move(ANYWHERE if is_alone or self.is_short() else ticket.lane)
        ticket.began_s = time.monotonic()

    def leave(self, ticket: Ticket) -> None:
        """Give the turn to whoever is next."""
        self._typical_s = max(time.monotonic() - ticket.began_s, self._typical_s * FADE)
        self._pass_on(ticket.lane)

    def _wait(self, ticket: Ticket, wake: threading.Lock) -> None:
        began_s = time.monotonic()
        wake.acquire()
        ticket.waited_s += time.monotonic() - began_s
        with self._lock:
            ticket.wake = None
            has_turn, is_stopped = ticket.has_turn, ticket.is_stopped
        if is_stopped:
            if has_turn:  # both happened before this thread woke
                self._pass_on(ticket.lane)
            raise stopped()

    def _pass_on(self, lane: int) -> None:
        with self._lock:
            if not self._line:
                self._free.append(lane)
                return
            ticket = heapq.heappop(self._line)[2]
            ticket.lane = lane
            ticket.has_turn = True
            if ticket.wake is not None:
                ticket.wake.release()

    def stop(self, ticket: Ticket) -> None:
        """Stop a run: it does not execute if it has no turn yet, and ends at the next step of its graph if it has."""
        with self._lock:
            if ticket.is_stopped:
                return
            ticket.is_stopped = True
            if ticket.wake is not None and not ticket.has_turn:
                self._line = [entry for entry in self._line if entry[2] is not ticket]
                heapq.heapify(self._line)
                ticket.wake.release()
        ticket.stop.set()
