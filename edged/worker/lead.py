"""Which of a worker's threads waits for work, and when the next one takes over.

One thread leads: it waits for all sources and takes the message that comes. Then it hands the lead to another thread and does the work,
so that as many are at work as there are cores. For models that answer in microseconds that costs more than it gives: waking a thread
takes as long as a run, and two of them spend their time on Python's lock. So while runs are short the leader keeps the lead and does the
work itself, one after the other, with nobody to wake.

A run that takes long after all must not hold up the others: a watcher looks every ``TICK_S``, and hands on the lead of a thread that has
worked for so long. It sleeps while there is nothing to watch.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

SHORT_S: Final = 0.0005
"""Runs below this are done with the lead kept; two wake-ups of a thread take a tenth to a third of it."""
TICK_S: Final = 0.005


class Lead:
    """The right to wait for work; one thread at a time has it.

    Args:
        is_short: Tells whether the next run can be expected to take less than ``SHORT_S``.
        pause: Waits for one tick of the watcher.
    """

    def __init__(self, is_short: Callable[[], bool], *, pause: Callable[[], None] = lambda: time.sleep(TICK_S)) -> None:
        self._is_short = is_short
        self._pause = pause
        self._held = threading.Lock()
        """Held for the thread that leads, and released by whoever hands the lead on."""
        self._lock = threading.Lock()
        self._term = 0
        """Counts works that the lead was kept for, and hand-overs by the watcher."""
        self._is_kept = False
        """The leader is at work and has kept the lead."""
        self._is_over = False
        self._is_watched = False
        self._awake = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        """Start the watcher."""
        self._watcher.start()

    def close(self) -> None:
        """Let the watcher end."""
        with self._lock:
            self._is_over = True
            self._awake.set()

    def take(self) -> None:
        """Wait until this thread leads."""
        self._held.acquire()

    def hand_on(self) -> None:
        """Let the next thread lead; for the thread that leads and is not at work."""
        self._held.release()

    def begin(self) -> int:
        """Say that the thread that leads begins a work.

        Returns:
            For ``end``; 0 when the lead was handed on.
        """
        if not self._is_short():
            self._held.release()
            return 0
        with self._lock:
            self._term += 1
            self._is_kept = True
            if not self._is_watched:
                self._is_watched = True
                self._awake.set()
            return self._term

    def end(self, term: int) -> bool:
        """Say that the work is done; returns whether this thread still leads.

        Args:
            term: What ``begin`` gave.
        """
        if not term:
            return False
        with self._lock:
            if self._term != term:
                return False
            self._is_kept = False
            return True

    def _watch(self) -> None:
        seen = 0
        while True:
            self._awake.wait()
            self._pause()
            with self._lock:
                if self._is_over:
                    return
                if self._term == seen and self._is_kept:
                    # The same work as a tick ago.
                    self._term += 1
                    self._is_kept = False
                    self._held.release()
                elif self._term == seen:
                    self._is_watched = False
                    self._awake.clear()
                seen = self._term
