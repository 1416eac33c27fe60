"""What a version did to the requests of apps since it became active, from the counts of its model. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import sub
from typing import Final, Self

from edged.errors import BackendError, DeadlineError, ModelLoadError, WorkerLostError
from edged.store.kept import Counts, Record
from edged.telemetry.serving import OK, ServingStats

LONGEST_S: Final = 1e6
"""No request takes so long; the last bucket ends here, because JSON has no number for one without a bound."""
_FAILURES: Final = (BackendError.code, ModelLoadError.code, WorkerLostError.code)


@dataclass(frozen=True, slots=True)
class Mark:
    """The counts of a model at one moment. They outlive its versions, so what one of them did is a difference of two."""

    ends: Counter[str]
    durations: tuple[int, ...]
    """Requests that took no longer than each fine bound, and at last all."""
    losses: int

    @classmethod
    def of(cls, stats: ServingStats) -> Self:
        """Take the counts as they are."""
        return cls(Counter(stats.requests), stats.request_duration_s.fine_cumulative, stats.losses)

    def since(self, before: "Mark") -> Counts:
        """Return what was done between two moments; ``before`` is the earlier one."""
        ends = self.ends - before.ends
        failures = sum(ends[code] for code in _FAILURES)
        late = ends[DeadlineError.code]
        return Counts(
            requests=ends[OK] + failures + late,
            failures=failures,
            late=late,
            worker_losses=self.losses - before.losses,
            durations=tuple(map(sub, self.durations, before.durations)),
        )


def record_of(counts: Counts, bounds_s: Sequence[float]) -> Record:
    """Return what counts say of a version.

    Args:
        counts: Of all its time, or of a part of it.
        bounds_s: Of their durations, seconds.
    """
    return Record(
        requests=counts.requests,
        failures=counts.failures,
        late=counts.late,
        p95_ms=_p95_ms(counts.durations, bounds_s),
        worker_losses=counts.worker_losses,
    )


def _p95_ms(cumulative: Sequence[int], bounds_s: Sequence[float]) -> tuple[float, float] | None:
    """Return the bounds of the bucket that the 95th percentile is in, milliseconds."""
    if not cumulative[-1]:
        return None
    rank = math.ceil(0.95 * cumulative[-1])
    i = next(i for i, count in enumerate(cumulative) if count >= rank)
    edges_s = (0.0, *bounds_s, LONGEST_S)
    return edges_s[i] * 1000.0, edges_s[i + 1] * 1000.0
