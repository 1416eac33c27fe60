"""Counts of requests as a row of numbers in memory, for whoever answers them in another process. Pure.

That process counts into a row of unsigned 64-bit numbers, which only grow; the daemon reads the row now and then and adds what came since
to the model's ``ServingStats``. The daemon believes nothing of it beyond that these are counts of this one model: what went backwards
or grew beyond all reason is taken for no change.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from edged.telemetry.histogram import Histogram, divided
from edged.telemetry.serving import DURATION_BOUNDS_S, OK, PARTS, ROW_BOUNDS, ServingStats, Tally

CODES: Final = (
    OK,
    "abandoned",
    "backend-failed",
    "bundle-invalid",
    "deadline-exceeded",
    "request-invalid",
    "sequence-unknown",
    "tensor-invalid",
    "internal",
)
"""How a request can end; the last stands for every other code."""
QUOTA: Final = "quota"
"""The reason of a request that was refused for its caller's rate."""

_BOUNDS_NS: Final = tuple(int(bound * 1e9) for bound in DURATION_BOUNDS_S)
_BUCKETS: Final = len(_BOUNDS_NS) + 1
_FINE_BOUNDS_NS: Final = tuple(int(bound * 1e9) for bound in divided(DURATION_BOUNDS_S, PARTS))
_FINE_BUCKETS: Final = len(_FINE_BOUNDS_NS) + 1
_REJECTED_AT: Final = len(CODES)
_TOTAL_AT: Final = _REJECTED_AT + 1
_QUEUE_AT: Final = _TOTAL_AT + _FINE_BUCKETS
_RUN_AT: Final = _QUEUE_AT + _BUCKETS
_SUMS_AT: Final = _RUN_AT + _FINE_BUCKETS
_OK_NS, _FAILED_NS, _QUEUE_NS, _RUN_NS = range(_SUMS_AT, _SUMS_AT + 4)
NUMBERS: Final = _SUMS_AT + 4
"""Numbers of a row."""

_MOST: Final = 1 << 60
_PLACES: Final = {code: place for place, code in enumerate(CODES)}


class Row:
    """A row to count into.

    Args:
        numbers: ``NUMBERS`` of them; a view of unsigned 64-bit ones. Used by one thread at a time.
    """

    def __init__(self, numbers: memoryview) -> None:
        self._numbers = numbers

    def finished(self, code: str, *, total_ns: int, queue_ns: int = 0, run_ns: int = 0) -> None:
        """Count the end of a request.

        Args:
            code: ``OK``, or that of the error it ended with.
            total_ns: Since it arrived.
            queue_ns: How long it waited for its turn.
            run_ns: How long it ran; 0 when it gave no answer.
        """
        numbers = self._numbers
        numbers[_PLACES.get(code, len(CODES) - 1)] += 1
        numbers[_TOTAL_AT + bisect_left(_FINE_BOUNDS_NS, total_ns)] += 1
        numbers[_QUEUE_AT + bisect_left(_BOUNDS_NS, queue_ns)] += 1
        numbers[_QUEUE_NS] += queue_ns
        numbers[_OK_NS if code == OK else _FAILED_NS] += total_ns
        if run_ns:
            numbers[_RUN_AT + bisect_left(_FINE_BOUNDS_NS, run_ns)] += 1
            numbers[_RUN_NS] += run_ns

    def rejected(self) -> None:
        """Count a request that was refused for its caller's rate."""
        self._numbers[_REJECTED_AT] += 1


def add_new(
    stats: ServingStats,
    before: Sequence[int],
    after: Sequence[int],
    *,
    unix_s: float,
    run_times: Histogram | None = None,
) -> dict[str, int]:
    """Add what was counted between two looks at a row.

    Args:
        stats: Of the model.
        before: All numbers, as they were then; zeros the first time.
        after: As they are now.
        unix_s: The wall clock, seconds since 1970.
        run_times: Of the variant that answered; the runs are added to these, too.

    Returns:
        How many requests ended in between, by ``CODES``.
    """
    new = [now - then if then <= now < _MOST else 0 for then, now in zip(before, after, strict=True)]
    ends = {code: count for code, count in zip(CODES, new, strict=False) if count}
    stats.requests.update(ends)
    if new[_REJECTED_AT]:
        stats.rejections[QUOTA] += new[_REJECTED_AT]
    total_s = (new[_OK_NS] + new[_FAILED_NS]) / 1e9
    stats.request_duration_s.add(new[_TOTAL_AT:_QUEUE_AT], total_s)
    stats.queue_duration_s.add(new[_QUEUE_AT:_RUN_AT], new[_QUEUE_NS] / 1e9)
    for durations in (stats.run_duration_s, run_times):
        if durations is not None:
            durations.add(new[_RUN_AT:_SUMS_AT], new[_RUN_NS] / 1e9)
    answered, runs = new[0], sum(new[_RUN_AT:_SUMS_AT])
    _add(stats.succeeded, answered, new[_OK_NS])
    _add(stats.failed, sum(new[1:_REJECTED_AT]), new[_FAILED_NS])
    # Each of these requests ran by itself.
    stats.rows += runs
    stats.batch_rows.add([runs, *[0] * len(ROW_BOUNDS)], float(runs))
    if runs:
        _add(stats.batches.setdefault(1, Tally()), runs, new[_RUN_NS])
    if answered:
        stats.last_unix_s = unix_s
    return ends


def _add(tally: Tally, count: int, total_ns: int) -> None:
    tally.count += count
    tally.total_s += total_ns / 1e9
