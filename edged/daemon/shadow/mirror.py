"""Copies some of the requests that a served model has answered, for a candidate that is asked them, too.

Nothing here holds up the request that is copied. What is done before its caller is told costs microseconds; the bytes are copied right
after that. Rules, in order:

(1) whose      requests of apps; those of the daemon itself (a validation kit) are left out. What goes over lent connections, from the app
               straight to the worker, never comes by here
(2) answered   only those that the active version has answered: what it could not do is no measure
(3) share      each by itself is chosen with the same chance. A sequence is chosen with its first request, and then all of it is, in order:
               a state that lacks a step says nothing. It is given up when one of its requests ends otherwise or cannot be taken
(4) room       at most ``MOST_WAITING`` requests and ``MOST_BYTES`` of their inputs and answers are kept at a time, the one that the
               candidate has included. What does not fit is shed, and counted
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import random
from typing import Final

from edged.daemon.serving.crowd import DAEMON
from edged.runtime.calls import Outcome, Request
from edged.runtime.tensors import InferResult

MOST_WAITING: Final = 16
MOST_BYTES: Final = 16 << 20
"""Copying so many takes some milliseconds, in which nobody else is answered."""
MOST_SEQUENCES: Final = 16
"""That are followed at a time."""

SequenceKey = tuple[int, int | str]
"""Its caller, and what that calls it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """A request and the answer that it got."""

    request: Request
    """From ``take`` on, its inputs are in no shared memory."""
    answer: InferResult
    size_bytes: int
    """Of both."""


def sequence_of(request: Request) -> SequenceKey | None:
    """Return the sequence that a request belongs to, if any."""
    return None if request.sequence is None else (request.uid, request.sequence.id)


class Mirror:
    """Fulfils ``edged.daemon.serving.onlooker.Onlooker``, and keeps what it has copied until it is asked for.

    Args:
        share: Returns the share of requests that are chosen.
        arrived: Called when there is one more to be asked for.
        shed: Called for each that was chosen and not taken.
        draw: Returns numbers in 0..1, all equally likely.
    """

    def __init__(
        self,
        *,
        share: Callable[[], float],
        arrived: Callable[[], None],
        shed: Callable[[], None],
        draw: Callable[[], float] = random,
    ) -> None:
        self._share = share
        self._arrived = arrived
        self._shed = shed
        self._draw = draw
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Shown] = deque()
        self._followed: set[SequenceKey] = set()
        self._kept = 0
        self._kept_bytes = 0
        self._is_closed = False

    def finished(self, request: Request, outcome: Outcome) -> None:
        """Copy a request if it is chosen."""
        if self._is_closed or request.uid == DAEMON:  # (1)
            return
        is_chosen = self._is_chosen(request, is_answered=isinstance(outcome, InferResult))
        if not is_chosen or not isinstance(outcome, InferResult):
            return
        size = request.size_bytes + sum(memoryview(tensor.data).nbytes for tensor in outcome.outputs)
        if self._kept >= MOST_WAITING or self._kept_bytes + size > MOST_BYTES:  # (4)
            self._shed()
            self.give_up(sequence_of(request))
            return
        self._kept += 1
        self._kept_bytes += size
        if request.memory is not None:
            request.memory.hold()
        self._waiting.append(Shown(request=request, answer=outcome, size_bytes=size))
        # Later, when the caller has its answer.
        self._loop.call_soon(self._copy)

    def take(self) -> Shown | None:
        """Return the next, if there is one; it counts as kept until ``done``."""
        return _copied(self._waiting.popleft()) if self._waiting else None

    def done(self, shown: Shown) -> None:
        """Say that one is no longer needed."""
        self._kept -= 1
        self._kept_bytes -= shown.size_bytes

    def give_up(self, sequence: SequenceKey | None) -> None:
        """Follow a sequence no further, and drop what waits of it; None is no sequence."""
        if sequence is not None:
            self._give_up(lambda key: key == sequence)

    def give_up_all(self) -> None:
        """Follow no sequence further: the states that the candidate had are gone."""
        self._give_up(lambda key: key is not None)

    def close(self) -> None:
        """Copy nothing any more, and drop what waits."""
        self._is_closed = True
        self._drop(lambda _key: True)

    def _give_up(self, is_lost: Callable[[SequenceKey | None], bool]) -> None:
        self._followed = {key for key in self._followed if not is_lost(key)}
        for _ in range(self._drop(is_lost)):
            self._shed()

    def _drop(self, is_lost: Callable[[SequenceKey | None], bool]) -> int:
        """Drop what waits of some sequences, where None is no sequence; returns how many there were."""
        lost = [shown for shown in self._waiting if is_lost(sequence_of(shown.request))]
        for shown in lost:
            self._waiting.remove(shown)
            self.done(shown)
            if shown.request.memory is not None:
                shown.request.memory.release()
        return len(lost)

    def _is_chosen(self, request: Request, *, is_answered: bool) -> bool:
        step, key = request.sequence, sequence_of(request)
        if step is None or key is None:
            return is_answered and self._draw() < self._share()  # (2), (3)
        if step.is_start:
            self._followed.discard(key)
            if is_answered and len(self._followed) < MOST_SEQUENCES and self._draw() < self._share():
                self._followed.add(key)
        is_chosen = is_answered and key in self._followed
        if step.is_end or not is_answered:
            self._followed.discard(key)
        return is_chosen

    def _copy(self) -> None:
        self._waiting = deque(map(_copied, self._waiting))
        if self._waiting:
            self._arrived()


def _copied(shown: Shown) -> Shown:
    """Copy a request's inputs out of the memory that is held for it, where there is any, and give that back."""
    request, memory = shown.request, shown.request.memory
    if memory is None:
        return shown
    try:
        inputs = [replace(tensor, data=bytes(tensor.data), at=None) for tensor in request.inputs]
    finally:
        memory.release()
    return replace(shown, request=replace(request, inputs=inputs, memory=None))
