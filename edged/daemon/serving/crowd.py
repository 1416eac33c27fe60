"""Who may wait for a model when more is asked of it than it can answer. Pure.

A long queue is good for a burst: everybody in it is answered, only later. When more keeps coming than can be answered it is good for
nothing: somebody is refused in any case, and whoever is not waits behind a full queue. So, for each caller, and apart for each class:

(1) a caller's requests take at most three quarters of a queue's places, so that one caller's crowd does not keep the others out
(2) a caller that had to be refused has, for a while, only half as many places as runs can begin together: what is taken is answered
    soon, what is not is refused at once, and just as many are answered
(3) where it goes on being refused for ``BURST_S`` it was no burst, and what still waits from its beginning is refused, too
(4) this ends when nothing of the caller's was refused for half of the time after which it was told to come back: who comes back then
    finds all the places again

And whoever would be answered after its deadline, as far as one can tell, is refused at once: it would keep others waiting for nothing.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from edged.errors import UnavailableError
from edged.schedule.queue import Pending

BURST_S: Final = 0.1
SHORTEST_S: Final = 1.0
"""The least that a caller is told to wait: Retry-After counts in seconds."""
MOST_KNOWN: Final = 256
"""Callers that are remembered; the one that was refused longest ago is forgotten."""
DAEMON: Final = -1
"""Stands for the user of the daemon's own requests, which are nobody's crowd."""

_Who = tuple[int, bool]
"""User, and whether it is about its background requests."""


@dataclass(slots=True, kw_only=True)
class _Refused:
    """A caller that was refused; monotonic seconds."""

    since_s: float
    last_s: float
    until_s: float
    """When it has all its places again, unless it is refused once more."""


class Crowd:
    """The callers of one model that ask for too much.

    Args:
        runs: That can begin together. Requests that share one take longer than one alone, so they are not what counts.
    """

    def __init__(self, *, runs: int) -> None:
        self._few = (runs + 1) // 2
        self._refused: dict[_Who, _Refused] = {}

    def check(
        self,
        pending: Pending,
        waiting: Iterable[Pending],
        *,
        now_s: float,
        max_queued: int,
        turn_s: float,
        run_s: float,
    ) -> None:
        """Refuse a request that is not to wait.

        Args:
            pending: Would have to wait; not in the queue yet.
            waiting: All that are.
            now_s: Monotonic seconds, the clock of ``Pending.deadline_s``.
            max_queued: All places of the queue.
            turn_s: How long it takes, on average, until one that waits begins and the next is the first.
            run_s: How long its run takes. Both are 0 as long as nobody knows.

        Raises:
            UnavailableError: It is one too many of its caller's, or would be too late.
        """
        who = _who(pending)
        own = sum(_who(other) == who for other in waiting)
        places = max_queued - max_queued // 4
        known = self._refused.get(who)
        if known is not None and known.until_s > now_s:
            places = min(places, self._few)
        if own >= places:
            wait_s = max(SHORTEST_S, (own - places + 1) * turn_s)
            self._note(who, now_s, until_s=now_s + wait_s / 2)
            raise UnavailableError(
                f"{own} requests of this user are waiting for this model already",
                hint="Send fewer requests at once, or wait for Retry-After.",
                retry_after_s=math.ceil(wait_s),
                limit="serve.max_queued",
            )
        ahead = sum(other.rank <= pending.rank for other in waiting)
        if now_s + (ahead + 1) * turn_s + run_s > pending.deadline_s:
            raise UnavailableError(
                "the model has too much to do to answer this request before its deadline",
                hint="Allow more time, or wait for Retry-After.",
                retry_after_s=math.ceil(max(SHORTEST_S, ahead * turn_s)),
            )

    def outlasts(self, pending: Pending) -> UnavailableError | None:
        """Return what a request that waits is finished with because its caller's crowd is no burst; None where it may go on."""
        known = self._refused.get(_who(pending))
        if known is None or pending.arrived_s > known.since_s or known.last_s - known.since_s < BURST_S:
            return None
        return UnavailableError(
            "more requests of this user keep coming than the model can answer",
            hint="Send fewer requests at once, or wait for Retry-After.",
            limit="serve.max_queued",
        )

    def _note(self, who: _Who, now_s: float, *, until_s: float) -> None:
        known = self._refused.pop(who, None)
        since_s = now_s if known is None or known.until_s <= now_s else known.since_s
        self._refused[who] = _Refused(since_s=since_s, last_s=now_s, until_s=until_s)
        if len(self._refused) > MOST_KNOWN:
            del self._refused[next(iter(self._refused))]


def _who(pending: Pending) -> _Who:
    return pending.call.request.uid, pending.is_background
