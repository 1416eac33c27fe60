"""One version of a model that answers requests: its queue, and the runs that are under way in its worker.

What becomes of a request (``edged.runtime.calls.Call``):

(1) taken      checked against the poison list, and put into the queue (``edged.schedule.queue``), or refused
(2) begun      as soon as fewer than ``parallel`` runs are under way: in its turn, alone or with others (``edged.schedule.batch``)
(3) finished   with what the worker says, or when its deadline comes, or when its caller leaves, whichever is first

A request that is finished while it waits does not run. One that is finished while it runs has its run stopped, unless others share
it; the run keeps its place, and the request its memory, until the worker says that the run has ended. When a worker is lost, what was
in it ends with it or is tried once more (``edged.daemon.serving.losses``), and those that wait are for the next worker.

Nothing here waits or has a task of its own: everything happens in calls from the API, from the worker's handle and from one timer.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Final

from edged.config.schema import ServeConfig
from edged.daemon.serving.alarm import Alarm
from edged.daemon.serving.asking import ask
from edged.daemon.serving.crowd import DAEMON, Crowd
from edged.daemon.serving.demand import Demand
from edged.daemon.serving.keeper import Keeper, Loadable, Worker
from edged.daemon.serving.losses import Losses
from edged.daemon.serving.onlooker import Onlooker
from edged.daemon.serving.poison import PoisonList
from edged.daemon.serving.runs import Run, Waiting
from edged.errors import BackendError, DeadlineError, EdgedError, PoisonError, UnavailableError, WorkerLostError
from edged.runtime.calls import Call, Outcome, Request
from edged.runtime.tensors import InferResult, Tensor
from edged.schedule.batch import RunTimeEstimate, kind_of, plan_batch
from edged.schedule.queue import Queue, displaced_error
from edged.telemetry.histogram import Histogram
from edged.telemetry.serving import DURATION_BOUNDS_S, OK, PARTS, ServingStats

LOG = logging.getLogger(__name__)

ABANDONED = "abandoned"
"""What is counted for a request whose caller left."""


class Served:
    """One loaded variant with its worker. Made and used on one event loop.

    Args:
        loadable: What is served.
        worker: Its first worker, already loaded. Owned from here on. None lets requests wait until ``employ``.
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
        worker: Worker | None,
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
        self.demand: Final = Demand()
        self.run_times = Histogram(DURATION_BOUNDS_S, parts=PARTS)
        """Of each run of this variant, lent connections included; seconds."""
        self._onlooker: Onlooker | None = None
        batching = loadable.variant.batching
        self.max_rows = 0 if batching is None else batching.max_rows
        """Most rows of one run that requests may share; 0 when each runs by itself."""
        self._parallel = parallel
        self._limits = limits
        self._poison = poison
        self._losses = Losses(loadable.bundle.manifest, poison)
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

    @property
    def is_wanted(self) -> bool:
        """Whether an app waits for an answer now; what is under way on connections that were lent is not known here."""
        under_way = chain(self._queue, *(run.members for run in self._runs))
        return any(not pending.is_background and pending.call.request.uid != DAEMON for pending in under_way)

    def submit(self, call: Call) -> None:
        """Take a call, and finish it later; see ``edged.api.ports.Models.submit``.

        Raises:
            UnavailableError: There is no room for it (``edged.daemon.serving.crowd``), or no worker and none could be started.
            PoisonError: This request ended two workers.
        """
        if call.request.features is not None:
            variant = self.loadable.variant
            call.request = call.request.fitting(self.loadable.bundle.digest, variant.inputs, variant.outputs)
        now_s = self._loop.time()
        pending = Waiting(call, arrived_s=now_s)
        displaced = self._enqueue(pending, now_s)
        self.demand.note(pending, now_s=now_s)
        self._idle.clear()
        call.abandoned = partial(self._abandon, pending)
        self._alarm.watch(pending.deadline_s)
        # One that comes too late is left to the alarm: no call is finished before this returns.
        if pending.deadline_s > now_s:
            self._dispatch()
        if displaced is not None:
            self._finish(displaced, displaced_error(), now_s)

    def show_ends_to(self, onlooker: Onlooker | None) -> None:
        """Have somebody told how requests end from now on, and nobody else; None is nobody."""
        self._onlooker = onlooker

    def count_lent(self, ends: Mapping[str, int]) -> None:
        """Count requests of lent connections, by how they ended."""
        self.demand.note_lent(ends, now_s=self._loop.time())

    async def infer(
        self, inputs: Sequence[Tensor], outputs: Sequence[str] = (), *, timeout_s: float, scale: float = 1.0
    ) -> InferResult:
        """Run one request in its turn, for callers within the daemon.

        Args:
            inputs: All of the pipeline's inputs, or all of the model's own.
            outputs: Names wanted; empty means all.
            timeout_s: Seconds from now; covers waiting and running.
            scale: Share of the full size at which the pipeline is done.

        Raises:
            EdgedError: As ``submit``, and what a call may be finished with.
        """
        request = Request(
            inputs=inputs, outputs=outputs, deadline_s=self._loop.time() + timeout_s, uid=DAEMON, scale=scale
        )
        return await ask(self.submit, request)

    def employ(self, worker: Worker) -> None:
        """Take the first worker where there was none."""
        self._keeper.employ(worker)

    def surrender(self) -> list[Call]:
        """Return what waits, in the order of its arrival, to be taken by somebody else."""
        waiting = sorted(self._queue.expire(math.inf), key=lambda pending: pending.number)
        self._settle()
        return [pending.call for pending in waiting]

    def take_over(self, other: "Served") -> None:
        """Take what waits for another variant of the model."""
        for call in other.surrender():
            call.instead = self.loadable.variant.id
            try:
                self.submit(call)
            except EdgedError as exc:
                call.finish(exc)

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
        # First: whoever is told may have somebody else take what waits.
        self._tell_changed()
        self._refuse_all(reason)

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
            again = self._lose(run, now_s)
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

    def _learn(self, run: Run, outcomes: Sequence[Outcome], now_s: float) -> None:
        result = next((outcome for outcome in outcomes if isinstance(outcome, InferResult)), None)
        if result is not None:
            if run.is_alone:
                self._poison.acquit(run.members[0].call.request)
            rows = run.rows
            self.stats.ran(rows, result.run_s)
            self.run_times.observe(result.run_s)
            self._estimate.observe(rows, now_s - run.began_s)

    def _lose(self, run: Run, now_s: float) -> set[Waiting]:
        """Take note that a worker was lost; returns which of its requests in this run are tried once more."""
        if self._is_closing:  # we ended it
            return set()
        self._losses.blame(run, now_s=now_s)
        # They were found innocent by a shorter list. Whoever is not in a batch is judged again in its turn.
        for pending in self._queue:
            if pending.kind is not None and self._poison.knows(pending.call.request):
                pending.kind = None
        return self._losses.worth_another_try(run, is_in_company=bool(self._runs))

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
            self.demand.failures += 1
        self.stats.finished(
            code or (outcome.code if isinstance(outcome, EdgedError) else OK), now_s - pending.arrived_s
        )
        run = pending.run
        if run is not None:
            run.keep_memory(pending)
        if self._onlooker is not None:
            self._onlooker.finished(pending.call.request, outcome)
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
