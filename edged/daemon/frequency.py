"""State the wish about the frequency of processors: the lowest share that any rule in force asks for.

A wish is all that the daemon can do: whether anything comes of it is for the administrator, who enables edged-frequency.path. It is written

(1) when it changes, and with every new context until that has worked;
(2) once more, as it is, when nothing has slowed the device down for ``QUIET_S`` after something had: what could not be decided while the
    kernel itself held the processors back (``edged.frequency.caps``) is decided then;
(3) and withdrawn when the daemon stops: whatever is decided while the rest of it ends is not wished for any more.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from edged.clock import Clock
from edged.errors import EdgedError
from edged.frequency.wish import WHOLE, Wish, read_wish, write_wish
from edged.policy.ask import Ask
from edged.select.decision import Decision
from edged.sense.context import Context

LOG = logging.getLogger(__name__)

QUIET_S: Final = 30.0
"""As long as a level of heat takes to be left: a cooling device that comes and goes does not have edged-frequency started each time."""


class Decided(Protocol):
    """What is decided about every kind of request (``edged.daemon.decisions.decider``)."""

    @property
    def decisions(self) -> Sequence[tuple[Ask, Decision]]:
        """What is decided now."""
        ...

    def on_change(self, told: Callable[[], None]) -> None:
        """Have somebody told when decisions may be others than before."""
        ...


class Looks(Protocol):
    """The device, as each look at it finds it (``edged.daemon.senses``)."""

    def on_change(self, told: Callable[[Context], None]) -> None:
        """Have somebody told of every new context."""
        ...


class FrequencyWish:
    """The wish that was written last.

    Args:
        path: Where it is written.
        clock: For how long nothing has slowed the device down.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._wanted = WHOLE
        self._written = _last(path)
        self._is_told = False
        """That the wish cannot be written."""
        self._is_withdrawn = False
        self._slowed_s: float | None = None
        """When the device was last seen not to be free of what slows it down; None once it has been free long enough."""

    def take(self, decisions: Sequence[tuple[Ask, Decision]]) -> None:
        """Wish for what decisions ask for; for nothing where none asks for anything."""
        shares = [decision.frequency_share for _, decision in decisions if decision.frequency_share is not None]
        self._wanted = WHOLE if self._is_withdrawn else min(shares, default=WHOLE)
        self._write_if_other()

    def look(self, context: Context) -> None:
        """Write what could not be written before (1), and what is to be decided again (2)."""
        now_s = self._clock.monotonic_s()
        is_throttled = context.throttled.value
        if is_throttled or (is_throttled is None and self._slowed_s is not None):
            self._slowed_s = now_s
        elif self._slowed_s is not None and now_s - self._slowed_s >= QUIET_S:
            self._slowed_s = self._written = None
        self._write_if_other()

    def withdraw(self) -> None:
        """Wish for nothing, for good (3)."""
        self._is_withdrawn = True
        self.take(())

    def _write_if_other(self) -> None:
        if self._wanted == self._written:
            return
        try:
            write_wish(self._path, Wish(share=self._wanted))
        except OSError as exc:
            if not self._is_told:
                LOG.warning("the wish about the processors' frequency cannot be written, and is tried again: %s", exc)
            self._is_told = True
            return
        self._written, self._is_told = self._wanted, False


@contextmanager
def wishing(path: Path, decided: Decided, looks: Looks, clock: Clock) -> Iterator[None]:
    """State wishes until this is left, and then none."""
    wish = FrequencyWish(path, clock)
    wish.take(decided.decisions)
    decided.on_change(lambda: wish.take(decided.decisions))
    looks.on_change(wish.look)
    try:
        yield
    finally:
        wish.withdraw()


def _last(path: Path) -> float | None:
    """Return what a daemon before this one wished for, which it may have had no time to withdraw."""
    try:
        return read_wish(path).share
    except (EdgedError, OSError):
        return None
