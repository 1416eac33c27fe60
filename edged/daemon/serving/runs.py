"""What is under way in a worker: runs, and the requests in them."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from edged.daemon.serving.keeper import Worker
from edged.runtime.calls import Call, Outcome
from edged.schedule.queue import Pending

LOG = logging.getLogger(__name__)


class Waiting(Pending):
    """A call of a served model, from its arrival to the end of its run."""

    __slots__ = ("is_held", "is_second_try", "run")

    def __init__(self, call: Call, *, arrived_s: float) -> None:
        super().__init__(call, arrived_s=arrived_s)
        self.run: Run | None = None
        self.is_held = False
        """Its memory is kept for the run although it is finished."""
        self.is_second_try = False
        """The worker it was in first ended, with others in it."""

    def finish(self, outcome: Outcome) -> None:
        """Hand over the outcome; what goes wrong with one caller must not keep the others of its run from their answers."""
        self.call.abandoned = None
        try:
            self.call.finish(outcome)
        except Exception:
            LOG.exception("An answer could not be handed over")


class Run:
    """Requests that a worker runs together.

    Args:
        worker: Usable a moment ago.
        members: The first leads it.
        began_s: The loop's time.
        life: Tells the worker from those before and after it.
        is_alone: It is a suspect, and nothing may run beside it.
    """

    __slots__ = ("_is_over", "_number", "began_s", "is_alone", "life", "members", "worker")

    def __init__(
        self, worker: Worker, members: Sequence[Waiting], *, began_s: float, life: int, is_alone: bool
    ) -> None:
        self.worker: Final = worker
        self.members: Final = members
        self.began_s: Final = began_s
        self.life: Final = life
        self.is_alone: Final = is_alone
        self._number = 0
        self._is_over = False

    @property
    def rows(self) -> int:
        """Rows of all its requests."""
        return sum(pending.rows for pending in self.members)

    def begin(self, ended: Callable[["Run", Sequence[Outcome]], None]) -> None:
        """Send it to the worker; ``ended`` is called exactly once, and not before this returns."""
        for pending in self.members:
            pending.run = self
        requests = [pending.call.request for pending in self.members]
        self._number = self.worker.run(requests, lambda outcomes: ended(self, outcomes), rank=self.members[0].rank)

    def keep_memory(self, pending: Waiting) -> None:
        """Keep the memory of a request that is about to be finished while it runs: whoever made it gives it back then."""
        memory = pending.call.request.memory
        if memory is not None and not self._is_over:
            memory.hold()
            pending.is_held = True

    def stop_if_unwanted(self) -> None:
        """Stop it if nobody waits for any of its requests any more; to be called when one of them was finished."""
        if not self._is_over and all(pending.call.is_finished for pending in self.members):
            self.worker.stop(self._number)

    def end(self) -> None:
        """Note that the worker has done with it: what was kept for it is given back."""
        self._is_over = True
        for pending in self.members:
            memory = pending.call.request.memory
            if pending.is_held and memory is not None:
                memory.release()
