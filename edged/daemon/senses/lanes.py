"""Reads what may block, beside the event loop, so that one slow thing delays neither the loop nor what else is read.

Everything is read one after the other by one thread, as long as that goes fast. Once something takes longer than ``PATIENCE_S``, another
thread goes on with the rest, and what is stuck is not asked again until it has answered. So an ordinary look costs one thread, which ends
with it, and the worst there is costs one for each thing that is stuck. None of them keeps the process from ending.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from edged.clock import Clock

T = TypeVar("T")

PATIENCE_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T]):
    """What was read of one thing."""

    value: T
    at_s: float
    """Monotonic; when reading it began."""


class Lanes(Generic[T]):
    """Things that are read.

    Args:
        reads: By name; called from any thread, but never twice at once. They raise nothing.
        clock: Dates what was read.
        patience_s: How long any of them may take before the others go on without it.
    """

    def __init__(self, reads: Mapping[str, Callable[[], T]], clock: Clock, *, patience_s: float = PATIENCE_S) -> None:
        self._reads: Final = dict(reads)
        self._clock = clock
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._due: deque[str] = deque()
        self._busy: set[str] = set()
        self._answers: dict[str, Answer[T]] = {}

    @property
    def answers(self) -> Mapping[str, Answer[T]]:
        """The newest answer of each thing that ever gave one."""
        with self._lock:
            return dict(self._answers)

    async def look(self) -> None:
        """Read everything that is not stuck; returns once all of that has answered or is stuck now."""
        with self._lock:
            self._due.clear()
            self._due.extend(name for name in self._reads if name not in self._busy)
        is_over = False
        while not is_over:
            done, _ = await asyncio.wait([self._begin()], timeout=self._patience_s)
            is_over = bool(done)

    def _begin(self) -> asyncio.Future[None]:
        """Have a thread read what is due; the future is done when there is nothing left for it to do."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def work() -> None:
            self._work()
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_finish, over)

        threading.Thread(target=work, name="senses", daemon=True).start()
        return over

    def _work(self) -> None:
        while (name := self._take()) is not None:
            began_s = self._clock.monotonic_s()
            value = self._reads[name]()
            with self._lock:
                self._answers[name] = Answer(value=value, at_s=began_s)
                self._busy.discard(name)

    def _take(self) -> str | None:
        with self._lock:
            if not self._due:
                return None
            name = self._due.popleft()
            self._busy.add(name)
            return name


def _finish(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)
