"""Which waiting requests share a run, and how long a run takes. Pure.

A batch is made of what waits at the moment a worker is free; nobody waits for others to come. Its rules, in order:

(1) whoever is next in the queue leads it, and goes in any case
(2) the others join in the queue's order, as long as they are of the leader's kind: the same tensors are sent (so that all enter before
    the pipeline, or all behind it), of the same datatypes and shapes but for the first axis, at the same scale. Those of other kinds
    wait for a later run
(3) the first of that kind who does not fit ends it: by rows, by number, or because the run would then take longer, as far as one
    can tell, than the deadline of any of them allows. So nobody is overtaken by one of the same kind, and no deadline is put at risk
    for the sake of others

Steps of a sequence have no kind, because a state belongs to one request; suspects of ``edged.daemon.serving.poison`` lose theirs.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final

from edged.runtime.calls import Request
from edged.runtime.tensors import Tensor
from edged.runtime.wire import MAX_BATCH
from edged.schedule.queue import P

MEMORY_RUNS: Final = 16
"""About how many of the latest runs the estimate follows."""
OUTLIER: Final = 4.0
"""A run that took this many times longer than expected, or this many times less, counts only as much as that."""
MARGIN: Final = 2.0
"""Mean deviations that a run may well take longer than expected."""
SHORTEST_S: Final = 1e-6
"""Nothing is expected to take less; otherwise four times nothing would be the most it could ever take."""


def kind_of(request: Request) -> tuple[Hashable, int]:
    """Return what two requests must have in common to share a run, and the rows of this one.

    Returns:
        None as kind, and one row, for a request that can only run by itself.
    """
    sent = _entering(request)
    rows = {tensor.shape[0] if tensor.shape else 0 for tensor in sent}
    if request.sequence is not None or len(rows) != 1 or 0 in rows:
        return None, 1
    alike = tuple((tensor.name, tensor.dtype, tensor.shape[1:]) for tensor in sent)
    return (alike if request.scale == 1.0 else (request.scale, alike)), rows.pop()


def _entering(request: Request) -> Sequence[Tensor]:
    """Return what is sent of a request, without what goes past the model to the steps after it."""
    features = request.features
    if features is None or features.tensors is None or not features.borrowed:
        return request.sent
    past = {spec.name for spec in features.borrowed}
    return [tensor for tensor in features.tensors if tensor.name not in past]


def plan_batch(
    in_turn: Iterable[P], *, max_rows: int, now_s: float, expected_s: Callable[[int], float | None]
) -> list[P]:
    """Choose the requests to run together now.

    Args:
        in_turn: Waiting requests in the order of the queue.
        max_rows: Most rows of a run that is shared; a request with more runs by itself.
        now_s: Monotonic seconds, the clock of ``Pending.deadline_s``.
        expected_s: How long a run of so many rows takes, in seconds; None as long as nobody knows, and then no run is shared.

    Returns:
        The requests, the leader first. Empty when every deadline has passed.
    """
    alive = (pending for pending in in_turn if pending.deadline_s > now_s)
    leader = next(alive, None)
    if leader is None:
        return []
    together, rows, deadline_s = [leader], leader.rows, leader.deadline_s
    if leader.kind is None or rows >= max_rows or expected_s(rows) is None:
        return together
    for pending in alive:
        if pending.kind != leader.kind:
            continue
        rows += pending.rows
        deadline_s = min(deadline_s, pending.deadline_s)
        run_s = expected_s(rows) if rows <= max_rows else None
        if run_s is None or now_s + run_s > deadline_s:
            break
        together.append(pending)
        if len(together) == MAX_BATCH or rows == max_rows:
            break
    return together


class RunTimeEstimate:
    """How long a run takes by its rows: a fixed cost and a cost for each row, learned from the runs that ended.

    A line is fitted to the latest runs, with weights that fall off exponentially. As long as all had the same number of rows nobody
    can tell the two costs apart; then everything is taken for a cost of the rows, which for more rows expects too much rather than
    too little.
    """

    __slots__ = ("_count", "_covariance", "_deviation_s", "_mean_rows", "_mean_s", "_variance")

    def __init__(self) -> None:
        self._count = 0
        self._mean_rows = 0.0
        self._mean_s = 0.0
        self._variance = 0.0
        self._covariance = 0.0
        self._deviation_s = 0.0

    def observe(self, rows: int, run_s: float) -> None:
        """Learn from a run that ended well.

        Args:
            rows: At least 1.
            run_s: From its start to its answers, in seconds.
        """
        expected_s = self._line(rows)
        if self._count >= MEMORY_RUNS:
            # One run that was held up says nothing about the next; many of them move the line all the same.
            usual_s = max(expected_s, SHORTEST_S)
            run_s = min(max(run_s, usual_s / OUTLIER), usual_s * OUTLIER)
        self._count += 1
        weight = 1 / min(self._count, MEMORY_RUNS)
        more_rows, more_s = rows - self._mean_rows, run_s - self._mean_s
        self._mean_rows += weight * more_rows
        self._mean_s += weight * more_s
        self._variance = (1 - weight) * (self._variance + weight * more_rows**2)
        self._covariance = (1 - weight) * (self._covariance + weight * more_rows * more_s)
        off_s = abs(run_s - expected_s) if self._count > 1 else 0.0
        self._deviation_s += weight * (off_s - self._deviation_s)

    def expected_s(self, rows: int) -> float | None:
        """Return the seconds that a run of so many rows takes at most, as far as one can tell; None before the first run."""
        return self._line(rows) + MARGIN * self._deviation_s if self._count else None

    def _line(self, rows: int) -> float:
        if not self._count:
            return 0.0
        row_s = most_s = self._mean_s / self._mean_rows
        if self._variance > 0:
            row_s = min(max(self._covariance / self._variance, 0.0), most_s)
        return self._mean_s + row_s * (rows - self._mean_rows)
