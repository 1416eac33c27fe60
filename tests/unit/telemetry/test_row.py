"""What another process counts arrives in the statistics: all of it, once, and nothing that cannot be."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from edged.telemetry.row import CODES, NUMBERS, Row, add_new
from edged.telemetry.serving import OK, ServingStats

NOW_S = 1_700_000_000.0


def new_row() -> tuple[Row, array]:
    numbers = array("Q", bytes(8 * NUMBERS))
    return Row(memoryview(numbers)), numbers


def test_requests_are_counted_as_if_they_had_been_counted_here():
    row, numbers = new_row()
    row.finished(OK, total_ns=3_000_000, queue_ns=1_000_000, run_ns=2_000_000)
    row.finished(OK, total_ns=40_000_000, run_ns=30_000_000)
    row.finished("deadline-exceeded", total_ns=60_000_000_000)
    row.rejected()
    here = ServingStats(unix_s=lambda: NOW_S)
    for queue_s, run_s, total_s in ((0.001, 0.002, 0.003), (0.0, 0.03, 0.04)):
        here.began(queue_s)
        here.ran(1, run_s)
        here.finished(OK, total_s)
    here.began(0.0)
    here.finished("deadline-exceeded", 60.0)
    here.rejected("quota")

    stats = ServingStats(unix_s=lambda: 0.0)
    ends = add_new(stats, [0] * NUMBERS, numbers, unix_s=NOW_S)

    assert ends == {OK: 2, "deadline-exceeded": 1}
    for name in ("requests", "rejections", "rows", "last_unix_s"):
        assert getattr(stats, name) == getattr(here, name), name
    for name in ("request_duration_s", "queue_duration_s", "run_duration_s", "batch_rows"):
        ours, theirs = getattr(stats, name), getattr(here, name)
        assert (ours.cumulative, round(ours.sum, 9)) == (theirs.cumulative, round(theirs.sum, 9)), name
    for tally, other in (
        (stats.succeeded, here.succeeded),
        (stats.failed, here.failed),
        (stats.batches[1], here.batches[1]),
    ):
        assert (tally.count, round(tally.total_s, 9)) == (other.count, round(other.total_s, 9))


def test_what_was_added_before_is_not_added_again():
    row, numbers = new_row()
    stats = ServingStats()
    before = tuple(numbers)
    for _ in range(3):
        row.finished(OK, total_ns=1)
        after = tuple(numbers)
        add_new(stats, before, after, unix_s=NOW_S)
        before = after
    add_new(stats, before, before, unix_s=NOW_S)

    assert stats.requests == {OK: 3}
    assert stats.request_duration_s.count == 3


def test_codes_that_are_not_foreseen_are_counted_as_internal():
    row, numbers = new_row()
    row.finished("made-up", total_ns=1)
    stats = ServingStats()

    add_new(stats, [0] * NUMBERS, numbers, unix_s=NOW_S)

    assert stats.requests == {CODES[-1]: 1}


def test_nothing_answered_is_nothing_new():
    stats = ServingStats()
    add_new(stats, [0] * NUMBERS, [0] * NUMBERS, unix_s=NOW_S)

    assert (stats.requests, stats.rejections, stats.batches, stats.last_unix_s) == ({}, {}, {}, 0.0)


numbers_of_any_kind = st.lists(st.integers(0, 2**64 - 1), min_size=NUMBERS, max_size=NUMBERS)


@given(numbers_of_any_kind, numbers_of_any_kind)
def test_whatever_a_worker_writes_the_statistics_never_go_back(before, after):
    """It may lie about its own model; counters that sink, or that no float can hold, would break those who read them."""
    stats = ServingStats()
    add_new(stats, before, after, unix_s=NOW_S)

    assert all(0 <= count < 1 << 60 for count in stats.requests.values())
    assert stats.request_duration_s.cumulative == tuple(sorted(stats.request_duration_s.cumulative))
    assert stats.request_duration_s.sum >= 0
    assert stats.run_duration_s.sum >= 0
