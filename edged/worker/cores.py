"""Keeps runs that execute at the same time on cores of their own.

A thread is woken near the one that wakes it, and with as many runs as cores there is none idle at that moment: two runs then share a
core for milliseconds, while the other core has become idle a moment later and the kernel does not balance over so short a time. Measured
with runs of 4 ms on two cores, 300 requests a second became 360. So the cores are dealt out to the lanes, one for each run at once, and
whoever executes beside others does so on its lane's. A run that executes alone may do so anywhere: nothing is known of what else the
machine has to do, and the kernel knows.
"""

import os
import threading
from collections.abc import Callable, Collection
from typing import Final

ANYWHERE: Final = -1

Place = Callable[[int, Collection[int]], None]
"""As ``os.sched_setaffinity``."""


class Cores:
    """Where this process's threads execute.

    Args:
        lanes: Runs at once.
        cores: Those that this process may use.
        place: Called with 0, for the calling thread, and cores.
    """

    def __init__(self, lanes: int, cores: Collection[int], *, place: Place = os.sched_setaffinity) -> None:
        ordered = sorted(cores)
        self._place = place
        self._by_lane = {lane: ordered[lane::lanes] for lane in range(lanes)} | {ANYWHERE: ordered}
        self._is_off = lanes == 1 or lanes > len(ordered)
        self._own = threading.local()

    def move(self, lane: int) -> None:
        """Have the calling thread execute on a lane's cores, or ``ANYWHERE``; without effect where the system does not allow that."""
        if self._is_off or getattr(self._own, "lane", ANYWHERE) == lane:
            return
        self._own.lane = lane
        try:
            self._place(0, self._by_lane[lane])
        except OSError:
            self._is_off = True
