"""Decides when a worker rests: it gives back what runs have needed, and is again as small as when it had just loaded its model. Pure.

Measured with magika's classifier (3.2 MB) and ONNX Runtime 1.21: 31 MB after its first run, 19 MB at rest. To rest takes 2 ms of a
processor, and the first run afterwards 2.6 ms more than the 6.3 ms of the others: pages of the library come back one by one, and the arena
grows anew.
So a worker rests only after a time in which many runs would have paid for what it keeps.
"""

from collections.abc import Callable
from typing import Final

from edged.worker.turns import Turns

LOOK_S: Final = 15.0
"""From one look to the next, at most."""
REST_S: Final = 30.0
"""How long nothing was asked, and nothing under way, before a worker rests, by the looks."""


class Rest:
    """Whether one worker rests. It does in the beginning.

    Args:
        turns: Counts what is asked.
        settle: Gives back what runs have needed.
        clock: Monotonic seconds.
    """

    def __init__(self, turns: Turns, settle: Callable[[], None], *, clock: Callable[[], float]) -> None:
        self._turns = turns
        self._settle = settle
        self._clock = clock
        self._asked = turns.asked
        self._busy_s: float | None = None
        """When something new was last seen to have been asked, or something to be under way; None at rest."""

    def look(self) -> None:
        """Rest if nothing was asked or under way for long enough, unless it rests already."""
        asked = self._turns.asked
        if asked != self._asked or not self._turns.is_idle:
            self._asked = asked
            self._busy_s = self._clock()
        elif self._busy_s is not None and self._clock() - self._busy_s >= REST_S:
            self._busy_s = None
            self._settle()
