"""State the wish about the frequency of processors: the lowest share that any rule in force asks for.

A wish is all that the daemon can do: whether anything comes of it is for the administrator, who enables edged-frequency.path. It is written
when it changes, and withdrawn when the daemon stops.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from edged.errors import EdgedError
from edged.frequency.wish import WHOLE, Wish, read_wish, write_wish
from edged.policy.ask import Ask
from edged.select.decision import Decision

LOG = logging.getLogger(__name__)


class Decided(Protocol):
    """What is decided about every kind of request (``edged.daemon.decisions.decider``)."""

    @property
    def decisions(self) -> Sequence[tuple[Ask, Decision]]:
        """What is decided now."""
        ...

    def on_change(self, told: Callable[[], None]) -> None:
        """Have somebody told when decisions may be others than before."""
        ...


class FrequencyWish:
    """The wish that was written last.

    Args:
        path: Where it is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = _last(path)

    def take(self, decisions: Sequence[tuple[Ask, Decision]]) -> None:
        """Wish for what decisions ask for; for nothing where none asks for anything."""
        shares = [decision.frequency_share for _, decision in decisions if decision.frequency_share is not None]
        share = min(shares, default=WHOLE)
        if share == self._written:
            return
        try:
            write_wish(self._path, Wish(share=share))
        except OSError as exc:
            LOG.warning("the wish about the processors' frequency cannot be written: %s", exc)
            return
        self._written = share


@contextmanager
def wishing(path: Path, decided: Decided) -> Iterator[None]:
    """State wishes until this is left, and then none."""
    wish = FrequencyWish(path)
    wish.take(decided.decisions)
    decided.on_change(lambda: wish.take(decided.decisions))
    try:
        yield
    finally:
        wish.take(())


def _last(path: Path) -> float | None:
    """Return what a daemon before this one wished for, which it may have had no time to withdraw."""
    try:
        return read_wish(path).share
    except (EdgedError, OSError):
        return None
