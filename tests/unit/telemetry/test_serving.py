"""What is counted of requests and runs, and that no counter grows without bound."""

from edged.telemetry.serving import MAX_BATCH_SIZES, ROW_BOUNDS, ServingStats, Tally


def test_answer_counts_as_a_success_with_its_time_and_moment():
    stats = ServingStats(unix_s=lambda: 1_800_000_000.5)
    stats.finished("ok", 0.25)

    assert stats.requests == {"ok": 1}
    assert (stats.succeeded, stats.failed) == (Tally(1, 0.25), Tally())
    assert stats.last_unix_s == 1_800_000_000.5
    assert stats.request_duration_s.sum == 0.25


def test_failure_counts_by_code_and_is_no_answer():
    stats = ServingStats()
    stats.finished("deadline-exceeded", 0.5)
    stats.finished("deadline-exceeded", 0.25)
    stats.finished("worker-lost", 1.0)

    assert stats.requests == {"deadline-exceeded": 2, "worker-lost": 1}
    assert (stats.succeeded, stats.failed) == (Tally(), Tally(3, 1.75))
    assert stats.last_unix_s == 0.0
    assert stats.request_duration_s.count == 3


def test_rejected_request_is_counted_as_nothing_else():
    stats = ServingStats()
    stats.rejected("queue-full")

    assert stats.rejections == {"queue-full": 1}
    assert not stats.requests
    assert not stats.request_duration_s.count


def test_run_counts_once_however_many_requests_share_it():
    stats = ServingStats()
    for queue_s in (0.25, 0.5, 0.75):
        stats.began(queue_s)
    stats.ran(3, 0.5)
    stats.ran(1, 0.25)

    assert (stats.rows, stats.run_duration_s.count, stats.run_duration_s.sum) == (4, 2, 0.75)
    assert stats.batches == {3: Tally(1, 0.5), 1: Tally(1, 0.25)}
    assert (stats.queue_duration_s.count, stats.queue_duration_s.sum) == (3, 1.5)
    assert stats.batch_rows.cumulative[: len(ROW_BOUNDS)] == (1, 1, 2, 2, 2, 2, 2, 2, 2)


def test_restarts_are_counted():
    stats = ServingStats()
    stats.restarted()
    stats.restarted(with_all=True)

    assert (stats.restarts, stats.losses) == (2, 1)


def test_batch_sizes_without_end_take_memory_with_one():
    """A first axis that is a length gives each request a size of its own; the totals still count all."""
    stats = ServingStats()
    for rows in range(1, 1000):
        stats.ran(rows, 0.5)
    stats.ran(1, 0.5)

    assert len(stats.batches) == MAX_BATCH_SIZES
    assert stats.batches[1] == Tally(2, 1.0)
    assert stats.batch_rows.count == 1000
