"""One shadow run: a worker of the candidate's, what it is asked, and what it has come to.

What the mirror has copied is asked one by one, and only in a moment in which the active version has nothing to do; the worker gives way to
all other processes besides (``edged.daemon.serving.workers``). So neither a slow nor a hanging candidate costs an app anything but what
little it takes to copy a request. What becomes of each:

(1) agreed, differed   it was answered, and compared with what the active version had answered (``edged.validation.side_by_side``). Its time
                       is compared, too, if no app asked the device anything meanwhile, and the active version ran it by itself
(2) failed             the candidate refused it, failed over it, lost its worker over it or took longer than any request may
(3) shed               it could not be asked through no fault of the candidate: its sequence is not known any more, there is no memory
                       for it, or the template has ended

Like a served model this has no task of its own: everything happens in calls from the mirror, from the worker's handle and from timers. A
worker that was lost is replaced by whoever looks after the run (``edged.daemon.lifecycle.shadows``).
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from edged.activation.shadow import Findings
from edged.daemon.serving.keeper import Loadable, Worker
from edged.daemon.serving.served import Served
from edged.daemon.shadow.mirror import Mirror, Shown, sequence_of
from edged.errors import DeadlineError, EdgedError, SequenceError, TensorError, UnavailableError, WorkerLostError
from edged.runtime.calls import Outcome
from edged.runtime.tensors import InferResult
from edged.schedule.queue import rank_of
from edged.telemetry.shadow import ShadowStats
from edged.validation.comparison import tolerances_of
from edged.validation.side_by_side import unlike_outputs

LOOK_EVERY_S: Final = 0.02
"""Between two looks for a moment in which the active version has nothing to do."""
TIMES_KEPT: Final = 1000
"""Runs that the latency is judged by."""


class ShadowRun:
    """A candidate beside the active version, until ``close``.

    Args:
        loadable: The candidate.
        active: The variants of the active version that are loaded; nobody else looks on.
        worker: The candidate's first one. Owned from here on.
        share: Of the requests, how many it is asked; may be set anew at any time.
        timeout_s: Returns how long a request may take.
        is_busy: Tells whether a variant has anything to do.
        idle_s: Returns for how long no app has asked any model; 0 while one does.
        stats: Of the model; outlives this.
    """

    def __init__(
        self,
        loadable: Loadable,
        active: Sequence[Served],
        worker: Worker,
        *,
        share: float,
        timeout_s: Callable[[], float],
        is_busy: Callable[[Served], bool],
        idle_s: Callable[[], float],
        stats: ShadowStats,
    ) -> None:
        self.loadable: Final = loadable
        self.share = share
        self.shed = 0
        """Requests that were chosen and not asked."""
        self._timeout_s = timeout_s
        self._is_busy = is_busy
        self._idle_s = idle_s
        self._stats = stats
        self._loop = asyncio.get_running_loop()
        self._tolerances = tolerances_of(loadable.bundle.manifest.validation.tolerance, loadable.variant.tolerance)
        self._worker = worker
        self._is_lost = False
        """The loss of the worker is noticed."""
        self._losses = 0
        """Of workers before it, as in ``worker_losses``."""
        self._asked: Shown | None = None
        """What the worker has now."""
        self._timer: asyncio.TimerHandle | None = None
        self._results: Counter[bool] = Counter()
        """Answers, by whether they were like those of the active version."""
        self._failures = 0
        self._unlike: Counter[str] = Counter()
        """How often each output was unlike."""
        self._run_s: deque[tuple[float, float]] = deque(maxlen=TIMES_KEPT)
        self._is_closed = False
        self._mirror = Mirror(share=lambda: self.share, arrived=self._go_on, shed=self._note_shed)
        self._active: Sequence[Served] = ()
        self.follow(active)
        stats.is_running = True

    @property
    def worker_losses(self) -> int:
        """How many workers were lost, without those that ended with the process that all workers come from."""
        return self._losses + (self._is_lost and not self._worker.ended_with_template)

    @property
    def found(self) -> Findings:
        """What the candidate has done so far."""
        return Findings(
            requests=self._results.total() + self._failures,
            failures=self._failures,
            agreed=self._results[True],
            worker_losses=self.worker_losses,
            most_unlike=next((name for name, _ in self._unlike.most_common(1)), ""),
            run_s=tuple(self._run_s),
        )

    def follow(self, active: Sequence[Served]) -> None:
        """Take note of which variants of the active version are loaded now."""
        for served in self._active:
            if served not in active:
                served.show_ends_to(None)
        for served in active:
            if served not in self._active:
                served.show_ends_to(self._mirror)
        self._active = tuple(active)

    def notice_loss(self) -> bool:
        """Count the loss of the worker, once; tells whether it was lost. ``go_on_with`` takes the next one."""
        if not self._worker.is_usable and not self._is_lost:
            self._is_lost = True
            self._mirror.give_up_all()
        return self._is_lost

    async def go_on_with(self, worker: Worker) -> None:
        """Take a worker in place of the one that was lost."""
        before, self._worker, self._is_lost = self._worker, worker, False
        await before.close()
        self._losses += not before.ended_with_template
        self._go_on()

    async def close(self) -> None:
        """Ask nothing any more, and end the worker."""
        self._is_closed = True
        self.follow(())
        self._mirror.close()
        self._set_timer(None)
        self._stats.is_running = False
        await self._worker.close()

    def _go_on(self) -> None:
        """Ask the next if this is the moment, or look again soon."""
        if self._is_closed or self._asked is not None or self.notice_loss():
            return
        if any(map(self._is_busy, self._active)):
            self._set_timer(self._loop.call_later(LOOK_EVERY_S, self._go_on))
            return
        self._asked = shown = self._mirror.take()
        if shown is None:
            self._set_timer(None)
            return
        began_s, timeout_s, is_alone = self._loop.time(), self._timeout_s(), self._idle_s() > 0
        number = self._worker.run(
            [replace(shown.request, deadline_s=began_s + timeout_s, features=None)],
            lambda outcomes: self._ended(shown, outcomes, began_s=began_s, is_alone=is_alone),
            rank=rank_of(0, is_background=True),
        )
        self._set_timer(self._loop.call_later(timeout_s, self._stop, number))

    def _stop(self, number: int) -> None:
        self._worker.stop(number)

    def _ended(self, shown: Shown, outcomes: Sequence[Outcome], *, began_s: float, is_alone: bool) -> None:
        self._asked = None
        self._set_timer(None)
        self._mirror.done(shown)
        if self._is_closed:
            return
        outcome = outcomes[0]
        took_s = self._loop.time() - began_s
        if isinstance(outcome, InferResult) and took_s < self._timeout_s():
            self._compare(shown, outcome, is_alone=is_alone and self._idle_s() >= took_s)
        else:
            late = DeadlineError("it took too long")
            self._note_failure(shown, outcome if isinstance(outcome, EdgedError) else late)
        # Not from here: the loop has others to serve between two of these.
        self._set_timer(self._loop.call_later(0, self._go_on))

    def _compare(self, shown: Shown, result: InferResult, *, is_alone: bool) -> None:
        try:
            unlike = unlike_outputs(shown.answer.outputs, result.outputs, self._tolerances)
        except TensorError as exc:
            self._note_failure(shown, exc)
            return
        self._results[not unlike] += 1
        self._unlike.update(unlike)
        self._stats.results["differed" if unlike else "agreed"] += 1
        self._stats.active_run_s.observe(shown.answer.run_s)
        self._stats.candidate_run_s.observe(result.run_s)
        if is_alone and shown.answer.batch == 1:
            self._run_s.append((shown.answer.run_s, result.run_s))

    def _note_failure(self, shown: Shown, error: EdgedError) -> None:
        self._mirror.give_up(sequence_of(shown.request))
        is_template_gone = not self._worker.is_usable and not isinstance(error, WorkerLostError)
        if is_template_gone or isinstance(error, SequenceError | UnavailableError):
            self._note_shed()
            return
        self._failures += 1
        self._stats.results["failed"] += 1

    def _note_shed(self) -> None:
        self.shed += 1
        self._stats.results["shed"] += 1

    def _set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer
