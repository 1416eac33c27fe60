"""What a version did, from counts that outlive it."""

import pytest

from edged.daemon.lifecycle.records import Mark, record_of
from edged.ids import ModelName, Version
from edged.store import rows
from edged.store.kept import Counts, KeptTrial, Record
from edged.telemetry.serving import ServingStats


def served(stats: ServingStats, **ends: int) -> None:
    for code, count in ends.items():
        for _ in range(count):
            stats.finished(code.replace("_", "-"), 0.003)


def since(mark: Mark, stats: ServingStats) -> Record:
    return record_of(Mark.of(stats).since(mark), stats.request_duration_s.fine_bounds)


def test_only_what_came_after_the_mark_counts_and_only_what_is_the_models():
    """What a caller did wrong, or did not wait for, says nothing of the version."""
    stats = ServingStats()
    served(stats, ok=50, backend_failed=50)
    stats.restarted()
    mark = Mark.of(stats)
    served(stats, ok=7, backend_failed=2, worker_lost=1, deadline_exceeded=3, tensor_invalid=9, abandoned=9)
    stats.restarted()
    stats.restarted(with_all=True)

    record = since(mark, stats)

    assert (record.requests, record.failures, record.late, record.worker_losses) == (13, 3, 3, 1)
    assert record.p95_ms == pytest.approx((2.872, 3.299), abs=0.001)


def test_nothing_since_the_mark_is_an_empty_record():
    stats = ServingStats()
    served(stats, ok=5)

    assert since(Mark.of(stats), stats) == Record()


@pytest.mark.parametrize(("slow", "bounds_ms"), [(5, (0.0, 0.1)), (6, (2871.7, 3298.8))])
def test_percentile_is_bounded_by_its_bucket(slow, bounds_ms):
    stats = ServingStats()
    mark = Mark.of(stats)
    for i in range(100):
        stats.finished("ok", 3.0 if i < slow else 0.00005)

    assert since(mark, stats).p95_ms == pytest.approx(bounds_ms, abs=0.1)


def test_request_longer_than_every_bucket_can_be_kept_on_the_disk():
    """JSON has no infinity: what is written must be read again."""
    stats = ServingStats()
    mark = Mark.of(stats)
    stats.finished("ok", 100.0)
    record = since(mark, stats)
    trial = KeptTrial(version=Version.parse("1.0.0"), digest="d", began_unix_s=0.0, baseline=record)

    assert rows.to_trial(rows.of_trial((ModelName("m"), "a"), trial))[1] == trial
    assert record.p95_ms[0] == pytest.approx(30_000.0)


def test_counts_of_several_lives_add_up_to_those_of_one():
    whole, first, second = ServingStats(), ServingStats(), ServingStats()
    mark = Mark.of(ServingStats())
    served(whole, ok=9, backend_failed=2, deadline_exceeded=1)
    served(first, ok=4, backend_failed=2)
    served(second, ok=5, deadline_exceeded=1)

    assert Mark.of(first).since(mark).plus(Mark.of(second).since(mark)) == Mark.of(whole).since(mark)


def test_durations_that_another_edged_counted_by_other_bounds_are_left_out():
    stats = ServingStats()
    mark = Mark.of(stats)
    served(stats, ok=5, backend_failed=1)
    now = Mark.of(stats).since(mark)

    both = Counts(requests=10, failures=3, durations=(1, 10)).plus(now)

    assert (both.requests, both.failures, both.durations) == (16, 4, now.durations)
