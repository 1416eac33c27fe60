"""What holds for every batch and every estimate."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edged.runtime.wire import MAX_BATCH
from edged.schedule.batch import RunTimeEstimate, kind_of, plan_batch
from edged.schedule.queue import Queue
from tests.fakes.requests import BACKGROUND, INTERACTIVE, pending_of

NOW_S = 100.0
MAX_QUEUED = 1000
SECONDS = st.floats(0.0, 1e3)


@st.composite
def pendings(draw):
    pending = pending_of(
        b"0" * draw(st.integers(1, 6)),
        deadline_s=NOW_S + draw(st.floats(-1.0, 5.0)),
        priority=draw(st.integers(0, 3)),
        request_class=draw(st.sampled_from([INTERACTIVE, INTERACTIVE, INTERACTIVE, BACKGROUND])),
        sequence=draw(st.sampled_from([None, None, None, None, 1])),
        outputs=draw(st.sampled_from([(), ("y",)])),
    )
    pending.kind, pending.rows = kind_of(pending.call.request)
    if pending.kind is not None and draw(st.booleans()):
        pending.kind = "another"
    return pending


@st.composite
def situations(draw):
    queue = Queue()
    for pending in draw(st.lists(pendings(), max_size=60)):
        queue.add(pending, max_queued=MAX_QUEUED)
    fixed_s, row_s = draw(st.floats(0.0, 2.0)), draw(st.floats(0.0, 0.5))
    is_known = draw(st.sampled_from([True, True, True, False]))
    return queue, draw(st.integers(2, 64)), (lambda rows: fixed_s + row_s * rows) if is_known else lambda _rows: None


def plan(situation):
    queue, max_rows, expected_s = situation
    return plan_batch(queue.in_turn(), max_rows=max_rows, now_s=NOW_S, expected_s=expected_s)


@given(situations())
def test_nobody_in_a_batch_is_late_or_made_late(situation):
    batch = plan(situation)

    assert all(pending.deadline_s > NOW_S for pending in batch)
    if len(batch) > 1:
        end_s = NOW_S + situation[2](sum(pending.rows for pending in batch))
        assert all(end_s <= pending.deadline_s for pending in batch)


@given(situations())
def test_batch_has_no_more_rows_and_requests_than_allowed(situation):
    batch = plan(situation)

    assert len(batch) <= MAX_BATCH
    assert len(batch) <= 1 or sum(pending.rows for pending in batch) <= situation[1]


@given(situations())
def test_batch_is_of_one_kind_and_one_class_and_no_sequence(situation):
    batch = plan(situation)

    if len(batch) > 1:
        assert len({(pending.kind, pending.is_background) for pending in batch}) == 1
        assert all(pending.kind is not None and pending.lane is None for pending in batch)


@given(situations())
def test_nobody_is_overtaken_by_one_of_the_same_kind(situation):
    """The batch is a beginning of all those of its kind that are not late, in the queue's order."""
    batch = plan(situation)

    alive = [pending for pending in situation[0].in_turn() if pending.deadline_s > NOW_S]
    assert bool(batch) == bool(alive)
    if batch:
        leader = alive[0]
        same = [leader, *(pending for pending in alive[1:] if leader.kind is not None and pending.kind == leader.kind)]
        assert batch == same[: len(batch)]


@given(situations())
def test_batch_is_a_function_of_the_situation(situation):
    assert plan(situation) == plan(situation)


RUNS = st.lists(st.tuples(st.integers(1, 4096), SECONDS), min_size=1, max_size=80)


@given(RUNS)
def test_more_rows_are_never_expected_to_take_less_and_nothing_takes_less_than_nothing(runs):
    estimate = RunTimeEstimate()
    for rows, run_s in runs:
        estimate.observe(rows, run_s)

    expected = [estimate.expected_s(rows) for rows in (1, 2, 7, 64, 4096)]
    assert expected[0] >= -1e-9 * max(run_s for _, run_s in runs)
    assert all(before <= after for before, after in itertools.pairwise(expected))


@given(fixed_s=st.floats(0.0, 1.0), row_s=st.floats(0.0, 0.1), sizes=st.lists(st.integers(1, 32), min_size=64))
def test_sizes_that_were_run_lately_are_not_expected_to_take_less_than_they_do(fixed_s, row_s, sizes):
    estimate = RunTimeEstimate()
    for rows in sizes:
        estimate.observe(rows, fixed_s + row_s * rows)

    for rows in sizes[-4:]:
        assert estimate.expected_s(rows) >= (fixed_s + row_s * rows) * 0.9
