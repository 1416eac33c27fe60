"""The updater's waits: the real ones in the test's main thread, and some without any time."""

import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from types import MappingProxyType

from edged.clock import SystemClock
from edged.notify import Notifier
from edged.update.waits.waiting import Attended, Direction, Door, StopAskedError, Waiting


@contextmanager
def real_waits(environ: Mapping[str, str] = MappingProxyType({}), *, door: Door | None = None) -> Iterator[Waiting]:
    """Wait as the updater does; ``environ`` says how often the watchdog wants to be fed."""
    with closing(Notifier(environ)) as notifier, Waiting(notifier=notifier, clock=SystemClock(), door=door) as waits:
        yield waits


class ScriptedWaits:
    """Writes down each rest and ends it at once; the last one stops the process.

    Args:
        polls: How many rests there are, one after each poll; the last one ends with the stop.
        nudged: Numbers, from 0, of the rests that end because somebody asked for a poll.
        during: Called in each rest; may end it by raising.
    """

    def __init__(
        self, *, polls: int = 1, nudged: Collection[int] = (), during: Callable[[], None] = lambda: None
    ) -> None:
        self.rests: list[float | None] = []
        self._polls = polls
        self._nudged = nudged
        self._during = during

    def rest(self, seconds: float | None) -> bool:
        self.rests.append(seconds)
        if len(self.rests) == self._polls:
            raise StopAskedError
        self._during()
        return len(self.rests) - 1 in self._nudged

    def until_ready(self, connection: socket.socket, to: Direction, *, deadline_s: float) -> None:
        raise AssertionError("nothing here waits for a connection")

    def attending(self, other: Attended) -> AbstractContextManager[None]:
        raise AssertionError("nothing here waits for anything else")
