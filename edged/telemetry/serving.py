"""What is counted about the requests for one model, from its first to the end of the daemon, over swaps and restarts. Pure.

The life of a request, and who counts what of it:

- ``rejected`` when it is refused before it was taken into the queue; nothing else is counted of it;
- ``began`` when it leaves the queue for a worker;
- ``finished`` once for each request that was taken, whether it had begun or not, and whatever became of it.

``ran`` is counted of runs, which requests may share. Everything is counted on the event loop; whoever reads may do so at any time.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edged.telemetry.histogram import Histogram

DURATION_BOUNDS_S: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Seconds: from a tenth of a small model's run to the longest that a request may take by default."""
PARTS: Final = 5
"""Each bucket of the time of requests and of runs is counted in so many parts, at most a quarter apart: versions and variants are compared
by them."""
ROW_BOUNDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MAX_BATCH_SIZES: Final = 64
"""Different batch sizes that are told apart; a model whose first axis means something else could have any number."""

OK: Final = "ok"
"""The code of a request that was answered; others are those of ``edged.errors``."""


@dataclass(slots=True)
class Tally:
    """How often something happened, and how long that took altogether."""

    count: int = 0
    total_s: float = 0.0

    def add(self, duration_s: float) -> None:
        """Count one more."""
        self.count += 1
        self.total_s += duration_s


class ServingStats:
    """The counts of one model.

    Args:
        unix_s: The wall clock, seconds since 1970.
    """

    def __init__(self, *, unix_s: Callable[[], float] = time.time) -> None:
        self.requests: Counter[str] = Counter()
        """Requests that were taken and are over, by code."""
        self.rejections: Counter[str] = Counter()
        """Requests that were not taken, by reason."""
        self.hits = Tally()
        """Requests that were answered with what was known already."""
        self.misses = 0
        """Those for which it was looked up and not known."""
        self.feature_hits = 0
        """Of those, requests for which it was known what the steps before the model make of them."""
        self.feature_misses = 0
        """Those for which that was looked up and not known."""
        self.restarts = 0
        """Workers that were replaced because they were lost."""
        self.losses = 0
        """Those of them that did not just end with the process that all workers come from."""
        self.rows = 0
        """Rows of all runs."""
        self.last_unix_s = 0.0
        """When the last answer was given; 0 before the first."""
        self.succeeded = Tally()
        self.failed = Tally()
        self.batches: dict[int, Tally] = {}
        """Runs by the number of their rows."""
        self.request_duration_s = Histogram(DURATION_BOUNDS_S, parts=PARTS)
        """From a request's arrival to its end."""
        self.queue_duration_s = Histogram(DURATION_BOUNDS_S)
        self.run_duration_s = Histogram(DURATION_BOUNDS_S, parts=PARTS)
        self.batch_rows = Histogram(ROW_BOUNDS)
        self._unix_s = unix_s

    def rejected(self, reason: str) -> None:
        """Count a request that was refused at once.

        Args:
            reason: One word of a few (``queue-full``, ``quota``), never anything of the caller's choosing.
        """
        self.rejections[reason] += 1

    def began(self, queue_s: float) -> None:
        """Count a request that goes to a worker.

        Args:
            queue_s: How long it waited for that.
        """
        self.queue_duration_s.observe(queue_s)

    def ran(self, rows: int, run_s: float) -> None:
        """Count a run that gave answers.

        Args:
            rows: Rows of all its requests together; 1 for requests that cannot share a run.
            run_s: How long the worker took.
        """
        self.rows += rows
        self.batch_rows.observe(rows)
        self.run_duration_s.observe(run_s)
        tally = self.batches.get(rows)
        if tally is None:
            if len(self.batches) >= MAX_BATCH_SIZES:
                return
            tally = self.batches[rows] = Tally()
        tally.add(run_s)

    def finished(self, code: str, total_s: float) -> None:
        """Count the end of a request that was taken.

        Args:
            code: ``OK``, the code of the error it ended with, or one word of a few for other ends (its caller left).
            total_s: Since it arrived.
        """
        self.requests[code] += 1
        self.request_duration_s.observe(total_s)
        if code == OK:
            self.succeeded.add(total_s)
            self.last_unix_s = self._unix_s()
        else:
            self.failed.add(total_s)

    def was_known(self, total_s: float) -> None:
        """Count a request that was answered at once with what was known already.

        Args:
            total_s: How long it took to find it.
        """
        self.hits.add(total_s)
        self.finished(OK, total_s)

    def looked_for_features(self, *, found: bool) -> None:
        """Count a request for which it was looked up what the steps before the model make of it."""
        self.feature_hits += found
        self.feature_misses += not found

    def restarted(self, *, with_all: bool = False) -> None:
        """Count a worker that was lost and has to be replaced; ``with_all``: it ended with the process that all workers come from."""
        self.restarts += 1
        self.losses += not with_all
