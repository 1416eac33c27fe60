"""Background requests that wait until the policy lets them run. Fulfils ``edged.daemon.decisions.seams.Holds``.

1. What is kept is bounded, in number and in bytes, in all and for each user; what is too much is refused at once, and nothing that was
   kept gives way to it. What goes on is bounded by other limits: those of callers and of queues.
2. Requests of one kind are tried in the order in which they came: at once, whenever decisions or what is loaded may be others, when one
   before them has ended, and every ``LOOK_EVERY_S``, for what nobody tells of (a stop, a queue that was full).
3. Not all go on together: of each kind at most ``at_once`` are under way, so that a device that has just cooled down is not flooded, and
   the queue has room for requests that somebody waits for (which go first in any case).
4. One that goes on has ``request_timeout_s`` from then on, however long it was ready to wait: a run that hangs ends as any other does.
   Where its place is taken away before it ran, it is kept again where it was, however many come back at once.
5. Each is finished at its own deadline, kept or not; and when its caller leaves. What is kept is in memory only, and lives as long as its
   caller's connection: a restart of the daemon loses both.
"""

import asyncio
import math
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from operator import attrgetter
from typing import Final

from edged.api.documents.background import BackgroundStatus, End
from edged.config.schema import BackgroundConfig
from edged.daemon.decisions.seams import GoOn
from edged.daemon.serving.alarm import Alarm
from edged.errors import DeadlineError, EdgedError, ModelStoppedError, UnavailableError
from edged.policy.ask import Ask
from edged.runtime.calls import Call, Outcome

LOOK_EVERY_S: Final = 5.0
FULL_RETRY_S: Final = 30
"""When to come again where too much is kept."""


class _Kept:
    """One request; its number is its place in the order in which they came."""

    __slots__ = ("ask", "call", "go_on", "inner", "is_left", "number", "since_s", "size_bytes")

    def __init__(self, number: int, ask: Ask, call: Call, go_on: GoOn, *, since_s: float) -> None:
        memory = call.request.memory
        self.number: Final = number
        self.ask: Final = ask
        self.call: Final = call
        self.go_on: Final = go_on
        self.since_s: Final = since_s
        self.size_bytes: Final = max(call.request.size_bytes, 0 if memory is None else memory.size)
        self.inner: Call | None = None
        """What it is under way as; None while it is kept."""
        self.is_left = False
        """By its caller."""


@dataclass(slots=True)
class _Line:
    """The requests of one kind."""

    kept: deque[_Kept] = field(default_factory=deque)
    under_way: int = 0
    rests_until_s: float = -math.inf
    """Until then it is not tried, unless something changes."""


@dataclass(slots=True)
class _Share:
    """What is kept of one user, or of all."""

    requests: int = 0
    size_bytes: int = 0


class Holding:
    """Keeps background work. Made and used on one event loop.

    Args:
        rules: Called for the bounds in force.
        run_s: Called for the time that a request has once it goes on; seconds.
    """

    def __init__(self, *, rules: Callable[[], BackgroundConfig], run_s: Callable[[], float]) -> None:
        self._rules = rules
        self._run_s = run_s
        self._loop = asyncio.get_running_loop()
        self._lines: dict[Ask, _Line] = {}
        self._all = _Share()
        self._users: dict[int, _Share] = {}
        self._numbers = count()
        self._ended: dict[str, Counter[End]] = {}
        self._alarm = Alarm(self._ring)
        self._is_due = False
        self._is_closed = False

    def has(self, ask: Ask) -> bool:
        """Tell whether requests of a kind are kept, behind which new ones have to wait."""
        line = self._lines.get(ask)
        return line is not None and bool(line.kept)

    def keep(self, ask: Ask, call: Call, *, go_on: GoOn) -> None:
        """Take a call that may have to wait; see ``Holds``."""
        now_s = self._loop.time()
        kept = _Kept(next(self._numbers), ask, call, go_on, since_s=now_s)
        line = self._lines.setdefault(ask, _Line())
        call.abandoned = lambda: self._leave(kept)
        try:
            if line.kept or not self._may_try(line, now_s) or not self._try(line, kept):
                self._check_room(kept)
                self._put(line, kept)
        except EdgedError:
            # Whoever made it is told by this error, and not a second time.
            call.abandoned = None
            self._end(kept, "refused")
            raise
        self._watch(now_s)

    def wake(self) -> None:
        """Take note that more may run than before, or something else."""
        for line in self._lines.values():
            line.rests_until_s = -math.inf
        self._look_soon()

    def close(self) -> None:
        """Keep nothing any more: what is kept is refused, what is under way ends as it does."""
        self._is_closed = True
        self._alarm.cancel()
        for line in list(self._lines.values()):
            while line.kept:
                kept = self._take(line, line.kept[0])
                self._end(kept, "refused")
                _finish(kept, UnavailableError("the daemon is being stopped", retry_after_s=5))

    def work(self) -> dict[str, BackgroundStatus]:
        """Return what there is to say of every model that ever had a request kept, sorted by name."""
        now_s, found = self._loop.time(), dict[str, BackgroundStatus]()
        for model in sorted({ask.model for ask in self._lines} | self._ended.keys()):
            lines = [line for ask, line in self._lines.items() if ask.model == model]
            kept = [one for line in lines for one in line.kept]
            found[model] = BackgroundStatus(
                kept=len(kept),
                under_way=sum(line.under_way for line in lines),
                size_bytes=sum(one.size_bytes for one in kept),
                longest_s=max((now_s - one.since_s for one in kept), default=0.0),
                ended=dict(self._ended.get(model, {})),
            )
        return found

    def _check_room(self, kept: _Kept) -> None:
        """Refuse a request that would be too much.

        Raises:
            UnavailableError: It would.
        """
        rules = self._rules()
        user = self._users.get(kept.call.request.uid, _Share())
        limit = _full(self._all, kept, rules.max_kept, rules.max_bytes, "") or _full(
            user, kept, rules.max_kept_per_caller, rules.max_bytes_per_caller, "_per_caller"
        )
        if self._is_closed or limit:
            raise UnavailableError(
                f"background requests of model {kept.ask.model} may not run now, and too much is kept already",
                hint="Come again after that time, or have background requests wait on your side.",
                retry_after_s=FULL_RETRY_S,
                limit=limit,
            )

    def _put(self, line: _Line, kept: _Kept) -> None:
        """Keep a request from now on."""
        insort(line.kept, kept, key=attrgetter("number"))
        for share in (self._all, self._users.setdefault(kept.call.request.uid, _Share())):
            share.requests += 1
            share.size_bytes += kept.size_bytes

    def _take(self, line: _Line, kept: _Kept) -> _Kept:
        """Keep a request no longer."""
        line.kept.remove(kept)
        uid = kept.call.request.uid
        for share in (self._all, self._users[uid]):
            share.requests -= 1
            share.size_bytes -= kept.size_bytes
        if not self._users[uid].requests:
            del self._users[uid]
        return kept

    def _may_try(self, line: _Line, now_s: float) -> bool:
        return line.under_way < self._rules().at_once and line.rests_until_s <= now_s

    def _try(self, line: _Line, kept: _Kept) -> bool:
        """Have a request that is not kept go on; returns whether it may.

        Raises:
            EdgedError: It never will.
        """
        now_s, request = self._loop.time(), kept.call.request
        deadline_s = min(request.deadline_s, now_s + self._run_s())
        kept.inner = inner = Call(
            replace(request, deadline_s=deadline_s), lambda outcome: self._came_back(kept, line, outcome)
        )
        line.under_way += 1
        try:
            kept.go_on(inner)
        except EdgedError as exc:
            kept.inner = None
            line.under_way -= 1
            if not _is_for_now(exc):
                raise
            self._rest(line, exc, now_s)
            return False
        return True

    def _came_back(self, kept: _Kept, line: _Line, outcome: Outcome) -> None:
        inner, kept.inner = kept.inner, None
        line.under_way -= 1
        now_s = self._loop.time()
        if _is_for_now(outcome) and not (kept.is_left or self._is_closed) and kept.call.request.deadline_s > now_s:
            self._put(line, kept)
            self._rest(line, outcome, now_s)
            self._watch(now_s)
            return
        line.rests_until_s = -math.inf
        kept.call.instead = "" if inner is None else inner.instead
        self._end(kept, "abandoned" if kept.is_left else "finished")
        self._look_soon()
        _finish(kept, outcome)

    def _rest(self, line: _Line, why: object, now_s: float) -> None:
        retry_s = why.retry_after_s if isinstance(why, UnavailableError) else LOOK_EVERY_S
        line.rests_until_s = now_s + min(retry_s, LOOK_EVERY_S)

    def _leave(self, kept: _Kept) -> None:
        kept.is_left = True
        if kept.inner is not None:
            kept.inner.abandon()
            return
        self._end(self._take(self._lines[kept.ask], kept), "abandoned")
        _finish(kept, UnavailableError("its caller left"))

    def _end(self, kept: _Kept, end: End) -> None:
        """Count one that is neither kept nor under way any more."""
        line = self._lines[kept.ask]
        if not (line.kept or line.under_way):
            del self._lines[kept.ask]
        self._ended.setdefault(kept.ask.model, Counter())[end] += 1

    def _look_soon(self) -> None:
        """Try what may go on once the loop has dealt with what else there is; nobody is called back from within a call."""
        if not self._is_due and self._lines:
            self._is_due = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._is_due = False
        now_s = self._loop.time()
        for line in list(self._lines.values()):
            while line.kept and self._may_try(line, now_s):
                kept = self._take(line, line.kept[0])
                try:
                    if not self._try(line, kept):
                        self._put(line, kept)
                        break
                except EdgedError as exc:
                    self._end(kept, "finished")
                    _finish(kept, exc)
        self._watch(now_s)

    def _ring(self, now_s: float) -> None:
        for line in list(self._lines.values()):
            for kept in [one for one in line.kept if one.call.request.deadline_s <= now_s]:
                self._end(self._take(line, kept), "deadline")
                _finish(kept, DeadlineError("the deadline passed while it was kept", hint="Allow more time."))
        self._look()

    def _watch(self, now_s: float) -> None:
        """Set the alarm for whatever comes next of what is kept."""
        for line in self._lines.values():
            for kept in line.kept:
                self._alarm.watch(kept.call.request.deadline_s)
            if line.kept and line.rests_until_s > now_s:
                self._alarm.watch(line.rests_until_s)


def _is_for_now(outcome: object) -> bool:
    """Tell whether an error says that a request may run later. A stopped model may stay so, and nothing of it is to be kept."""
    return isinstance(outcome, UnavailableError) and not isinstance(outcome, ModelStoppedError)


def _full(share: _Share, kept: _Kept, most: int, most_bytes: int, who: str) -> str:
    """Return the setting that one request more would not keep to; empty where there is room."""
    if share.requests >= most:
        return f"background.max_kept{who}"
    return f"background.max_bytes{who}" if share.size_bytes + kept.size_bytes > most_bytes else ""


def _finish(kept: _Kept, outcome: Outcome) -> None:
    kept.call.abandoned = None
    kept.call.finish(outcome)
