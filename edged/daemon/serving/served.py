"""One version of a model that answers requests: its queue, and the runs that are under way in its worker.

What becomes of a request (``edged.runtime.calls.Call``):

(1) taken      checked against the poison list, and put into the queue (``edged.schedule.queue``), or refused
(2) begun      as soon as fewer than ``parallel`` runs are under way: in its turn, alone or with others (``edged.schedule.batch``)
(3) finished   with what the worker says, or when its deadline comes, or when its caller leaves, whichever is first

A request that is finished while it waits does not run. One that is finished while it runs has its run stopped, unless others share
it; the run keeps its place, and the request its memory, until the worker says that the run has ended. When a worker is lost, the
requests in it may be suspects from then on (``edged.daemon.serving.poison``). One that was in it alone ends with it. Where there were
several, one of them cost the others their worker: each is tried once more, by itself, and only the one that ends its worker again is
lost. A request of a sequence is not, because its state is gone. Those that wait are for the next worker.

Nothing here waits or has a task of its own: everything happens in calls from the API, from the worker's handle and from one timer.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from edged import journal
from edged.config.schema import ServeConfig
from edged.daemon.serving.alarm import Alarm
from edged.daemon.serving.asking import ask
from edged.daemon.serving.crowd import DAEMON, Crowd
from edged.daemon.serving.keeper import Keeper, Loadable, Worker
from edged.daemon.serving.poison import DIGEST_SHOWN, PoisonList
from edged.daemon.serving.runs import Run, Waiting
from edged.errors import BackendError, DeadlineError, EdgedError, PoisonError, UnavailableError, WorkerLostError
from edged.runtime.calls import Call, Outcome, Request
from edged.runtime.tensors import InferResult, Tensor
from edged.schedule.batch import RunTimeEstimate, kind_of, plan_batch
from edged.schedule.queue import Queue, displaced_error
from edged.telemetry.serving import OK, ServingStats

LOG = logging.getLogger(__name__)

ABANDONED = "abandoned"
"""What is counted for a request whose caller left."""
_FAILURES = frozenset({BackendError.code, DeadlineError.code, WorkerLostError.code})


class Served:
    """One loaded variant with its worker. Made and used on one event loop.

    Args:
        loadable: What is served.
        worker: Its first worker, already loaded. Owned from here on.
        start_worker: Makes the next one.
        parallel: Runs that the worker takes at once.
        limits: Called for the limits in force.
        stats: Of the model; outlives this.
        poison: Of this version.
        changed: Called when there is another worker, or none could be started.
    """

    def __init__(
        self,
        loadable: Loadable,
        worker: Worker,
        *,
        start_worker: Callable[[], Awaitable[Worker]],
        parallel: int,
        limits: Callable[[], ServeConfig],
        stats: ServingStats,
        poison: PoisonList,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.loadable = loadable
        self.stats = stats
        self.requests = 0
        """That were submitted here."""
        self.failures = 0
        """Those among them that the model or its worker failed."""
        self.lent_requests = 0
        """That workers took over lent connections."""
        self.lent_failures = 0
        self.asked_s = -math.inf
        """When an app asked last, on the loop's clock."""
        batching = loadable.variant.batching
        self.max_rows = 0 if batching is None else batching.max_rows
        """Most rows of one run that requests may share; 0 when each runs by itself."""
        self._parallel = parallel
        self._limits = limits
        self._poison = poison
        self._tell_changed = changed
        self._loop = asyncio.get_running_loop()
        self._keeper = Keeper(
            loadable, worker, start_worker=start_worker, stats=stats, started=self._go_on, failed=self._give_up
        )
        self._queue = Queue[Waiting]()
        self._runs: set[Run] = set()
        self._estimate = RunTimeEstimate()
        self._at_once = parallel * (self.max_rows or 1)
        """Requests that can begin together."""
        self._crowd = Crowd(runs=parallel)
        self._alarm = Alarm(self._expire)
        self._is_closing = False
        self._last_death = -1
        """The life of the worker that was lost last (``Run.life``)."""
        self._was_in_company = False
        """More than one request was in it."""
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def worker(self) -> Worker | None:
        """The process that answers now, or None while it is being replaced."""
        return self._keeper.worker

    @property
    def start_error(self) -> str:
        """Why there is no worker and the last try to start one failed; else empty."""
        return self._keeper.error if self.worker is None else ""

    @property
    def restarts(self) -> int:
        """Workers that were lost."""
        return self._keeper.restarts

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Requests that a worker has, those that nobody waits for any more included."""
        return sum(len(run.members) for run in self._runs)

    def submit(self, call: Call) -> None:
        """Take a call, and finish it later; see ``edged.api.ports.Models.submit``.

        Raises:
            UnavailableError: There is no room for it (``edged.daemon.serving.crowd``), or no worker and none could be started.
            PoisonError: This request ended two workers.
        """
        now_s = self._loop.time()
        pending = Waiting(call, arrived_s=now_s)
        displaced = self._enqueue(pending, now_s)
        self.requests += 1
        if call.request.uid != DAEMON:
            self.asked_s = now_s
        self._idle.clear()
        call.abandoned = partial(self._abandon, pending)
        self._alarm.watch(pending.deadline_s)
        # One that comes too late is left to the alarm: no call is finished before this returns.
        if pending.deadline_s > now_s:
            self._dispatch()
        if displaced is not None:
            self._finish(displaced, displaced_error(), now_s)

    def count_lent(self, ends: Mapping[str, int]) -> None:
        """Count requests of lent connections, by how they ended."""
        if ends:
            self.asked_s = self._loop.time()
        self.lent_requests += sum(ends.values())
        self.lent_failures += sum(count for code, count in ends.items() if code in _FAILURES)

    async def infer(self, inputs: Sequence[Tensor], outputs: Sequence[str] = (), *, timeout_s: float) -> InferResult:
        """Run one request in its turn, for callers within the daemon.

        Args:
            inputs: All of the pipeline's inputs, or all of the model's own.
            outputs: Names wanted; empty means all.
            timeout_s: Seconds from now; covers waiting and running.

        Raises:
            EdgedError: As ``submit``, and what a call may be finished with.
        """
        request = Request(inputs=inputs, outputs=outputs, deadline_s=self._loop.time() + timeout_s, uid=DAEMON)
        return await ask(self.submit, request)

    async def keep_running(self) -> None:
        """Replace the worker whenever it is lost, until cancelled; then end it, and whatever is still under way."""
        try:
            await self._keeper.run()
        finally:
            await self.close()

    async def close(self) -> None:
        """End the worker; drain before. Nothing is taken any more."""
        self._is_closing = True
        self._refuse_all("it is being replaced or removed")
        await self._keeper.close()
        self._alarm.cancel()

    def abort(self, error: EdgedError) -> None:
        """Finish everything that waits or runs with an error; what comes later is taken as ever."""
        now_s = self._loop.time()
        under_way = [pending for run in self._runs for pending in run.members]
        for pending in (*self._queue.expire(math.inf), *under_way):
            self._finish(pending, error, now_s)
        self._settle()

    async def drain(self, *, timeout_s: float) -> None:
        """Wait until no request waits or runs, but no longer than ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            LOG.warning("%d requests were still under way after %.1f s", self.queued + self.running, timeout_s)

    def _enqueue(self, pending: Waiting, now_s: float) -> Waiting | None:
        request = pending.call.request
        reason = "no-worker"
        try:
            if self._is_closing or (self._keeper.error and self.worker is None):
                raise _no_worker(self._keeper.error)
            reason = "poison"
            is_suspect = bool(self._poison) and self._poison.judge(request, now_s=now_s)
            if self.max_rows and not is_suspect:
                pending.kind, pending.rows = kind_of(request)
            reason = "queue-full"
            max_queued = self._limits().max_queued
            if self._queue or len(self._runs) >= self._parallel:
                self._crowd.check(
                    pending,
                    self._queue,
                    now_s=now_s,
                    max_queued=max_queued,
                    turn_s=(self._estimate.expected_s(self.max_rows or 1) or 0.0) / self._at_once,
                    run_s=self._estimate.expected_s(pending.rows) or 0.0,
                )
            return self._queue.add(pending, max_queued=max_queued)
        except (UnavailableError, PoisonError):
            self.stats.rejected(reason)
            raise

    def _go_on(self) -> None:
        self._dispatch()
        self._tell_changed()

    def _give_up(self, reason: str) -> None:
        self._refuse_all(reason)
        self._tell_changed()

    def _dispatch(self) -> None:
        """Begin as many runs as may be under way."""
        while (
            (worker := self._keeper.worker) is not None
            and len(self._runs) < self._parallel
            and (first := self._queue.first()) is not None
        ):
            now_s = self._loop.time()
            is_suspect = False
            error: EdgedError | None = (
                _late("while it waited") if first.deadline_s <= now_s else self._crowd.outlasts(first)
            )
            if self._poison:
                try:
                    is_suspect = self._poison.judge(first.call.request, now_s=now_s)
                except PoisonError as exc:
                    error = exc
            if error is not None:
                self._queue.remove(first)
                self._finish(first, error, now_s)
            elif self._runs and (is_suspect or any(run.is_alone for run in self._runs)):
                return
            else:
                is_alone = is_suspect or first.kind is None or len(self._queue) == 1
                members = [first] if is_alone else self._plan(now_s)
                self._queue.take(members)
                self._begin(Run(worker, members, began_s=now_s, life=self._keeper.restarts, is_alone=is_suspect))

    def _plan(self, now_s: float) -> list[Waiting]:
        return plan_batch(
            self._queue.in_turn(), max_rows=self.max_rows, now_s=now_s, expected_s=self._estimate.expected_s
        )

    def _begin(self, run: Run) -> None:
        self._runs.add(run)
        for pending in run.members:
            self.stats.began(run.began_s - pending.arrived_s)
        run.begin(self._ended)

    def _ended(self, run: Run, outcomes: Sequence[Outcome]) -> None:
        """Take what a worker says about a run; the next one begins before the callers of this one are told."""
        now_s = self._loop.time()
        self._runs.discard(run)
        again: set[Waiting] = set()
        if any(isinstance(outcome, WorkerLostError) for outcome in outcomes):
            self._blame(run, now_s)
            again = self._worth_another_try(run)
        else:
            self._learn(run, outcomes, now_s)
        run.end()
        for pending in run.members:
            pending.run = None
            if pending in again:
                pending.is_second_try, pending.kind = True, None
                self._queue.put_back(pending)
            else:
                self._queue.leave(pending)
        self._dispatch()
        for pending, outcome in zip(run.members, outcomes, strict=True):
            if pending not in again:
                self._finish(pending, outcome, now_s)
        self._settle()

    def _worth_another_try(self, run: Run) -> set[Waiting]:
        """Return those of a run whose worker was lost that may not be to blame for it."""
        if run.life != self._last_death:
            self._last_death = run.life
            self._was_in_company = bool(self._runs) or len(run.members) > 1
        if self._is_closing or not self._was_in_company:
            return set()
        return {
            pending
            for pending in run.members
            if not (pending.call.is_finished or pending.is_second_try or pending.lane is not None)
        }

    def _learn(self, run: Run, outcomes: Sequence[Outcome], now_s: float) -> None:
        result = next((outcome for outcome in outcomes if isinstance(outcome, InferResult)), None)
        if result is not None:
            if run.is_alone:
                self._poison.acquit(run.members[0].call.request)
            rows = run.rows
            self.stats.ran(rows, result.run_s)
            self._estimate.observe(rows, now_s - run.began_s)

    def _blame(self, run: Run, now_s: float) -> None:
        """Suspect what was under way in a worker that ended, unless we ended it."""
        if self._is_closing:
            return
        for pending in run.members:
            if digest := self._poison.blame(pending.call.request, death=run.life, now_s=now_s):
                manifest = self.loadable.bundle.manifest
                shown = digest[:DIGEST_SHOWN]
                journal.event(LOG, journal.REQUEST_REFUSED, model=manifest.name, version=manifest.version, digest=shown)
        # They were found innocent by a shorter list. Whoever is not in a batch is judged again in its turn.
        for pending in self._queue:
            if pending.kind is not None and self._poison.knows(pending.call.request):
                pending.kind = None

    def _expire(self, now_s: float) -> None:
        """Finish everything whose deadline has come, waiting or running, and set the alarm for what is next."""
        for pending in self._queue.expire(now_s):
            self._finish(pending, _late("while it waited"), now_s)
        next_s = self._queue.next_deadline_s()
        for pending in [pending for run in self._runs for pending in run.members if not pending.call.is_finished]:
            if pending.deadline_s <= now_s:
                self._finish(pending, _late("while it ran"), now_s)
            else:
                next_s = min(next_s, pending.deadline_s)
        self._alarm.watch(next_s)
        self._dispatch()
        self._settle()

    def _abandon(self, pending: Waiting) -> None:
        if pending.is_waiting:
            self._queue.remove(pending)
        self._finish(pending, UnavailableError("its caller left"), self._loop.time(), code=ABANDONED)
        self._dispatch()
        self._settle()

    def _refuse_all(self, reason: str) -> None:
        """Finish everything that waits: there is no worker for it."""
        now_s = self._loop.time()
        for pending in self._queue.expire(math.inf):
            self._finish(pending, _no_worker(reason), now_s)
        self._settle()

    def _finish(self, pending: Waiting, outcome: Outcome, now_s: float, *, code: str = "") -> None:
        """Finish a request that waits no longer; if it runs, the run is stopped once nobody waits for any of it."""
        if pending.call.is_finished:
            return
        if isinstance(outcome, BackendError):
            self.failures += 1
        self.stats.finished(
            code or (outcome.code if isinstance(outcome, EdgedError) else OK), now_s - pending.arrived_s
        )
        run = pending.run
        if run is not None:
            run.keep_memory(pending)
        pending.finish(outcome)
        if run is not None:
            run.stop_if_unwanted()

    def _settle(self) -> None:
        if not self._queue and not self._runs:
            self._idle.set()


def _late(when: str) -> DeadlineError:
    return DeadlineError(f"the deadline passed {when}", hint="Ask less often, or allow more time.")


def _no_worker(reason: str) -> UnavailableError:
    return UnavailableError(f"the model has no worker: {reason or 'it is being replaced or removed'}", retry_after_s=5)
