"""Which requests share a run, and how long runs are expected to take."""

from dataclasses import replace

import pytest

from edged.runtime.calls import Features, Request
from edged.runtime.tensors import Tensor
from edged.runtime.wire import MAX_BATCH
from edged.schedule.batch import MEMORY_RUNS, RunTimeEstimate, kind_of, plan_batch
from tests.fakes.requests import FAR_S, pending_of, request_of, rows_of
from tests.fakes.workers import spec_of

NOW_S = 100.0


def waiting(data: bytes = b"0", **options):
    pending = pending_of(data, **options)
    pending.kind, pending.rows = kind_of(pending.call.request)
    return pending


def plan(*in_turn, max_rows=64, expected_s=lambda rows: 0.010 * rows):
    return plan_batch(in_turn, max_rows=max_rows, now_s=NOW_S, expected_s=expected_s)


def kind(*inputs: Tensor) -> object:
    return kind_of(Request(inputs=inputs, deadline_s=FAR_S))[0]


def test_rows_of_a_request_are_its_first_axis():
    assert kind_of(request_of(b"abc"))[1] == 3


@pytest.mark.parametrize(
    "other",
    [
        rows_of(b"a", name="y"),
        Tensor(name="x", dtype="INT8", shape=(1, 1), data=b"a"),
        Tensor(name="x", dtype="UINT8", shape=(1, 2), data=b"ab"),
        Tensor(name="x", dtype="UINT8", shape=(1,), data=b"a"),
    ],
    ids=["name", "datatype", "shape", "rank"],
)
def test_requests_that_differ_in_more_than_rows_are_of_different_kinds(other):
    assert kind(rows_of(b"a")) == kind(rows_of(b"b", b"c"))
    assert kind(rows_of(b"a")) != kind(other)


def test_requests_of_different_scales_share_no_run():
    at_half, at_full = (kind_of(request_of(b"a", scale=scale))[0] for scale in (0.5, 1.0))

    assert at_half != at_full
    assert at_half == kind_of(request_of(b"b", scale=0.5))[0]


@pytest.mark.parametrize(
    "inputs",
    [
        (rows_of(b"a"), rows_of(b"a", b"b", name="y")),
        (Tensor(name="x", dtype="UINT8", shape=(), data=b"a"),),
        (Tensor(name="x", dtype="UINT8", shape=(0, 1), data=b""),),
    ],
    ids=["not as many rows in each input", "no axis", "no row"],
)
def test_request_without_one_number_of_rows_has_no_kind(inputs):
    assert kind_of(Request(inputs=inputs, deadline_s=FAR_S)) == (None, 1)


def test_where_features_are_known_their_rows_and_types_count():
    """They are what is run: an input may be one file, and what is made of it many rows."""
    tensors = (Tensor(name="f", dtype="FP32", shape=(3, 1), data=bytes(12)),)
    takes = (spec_of("f", "FP32", (-1, 1)),)
    features = Features(digest="d", takes=takes, gives=(), scale=1.0, most_bytes=1 << 30, tensors=tensors)

    assert kind_of(request_of(b"a", features=features)) == (kind(*tensors), 3)
    assert kind_of(request_of(b"a", features=replace(features, tensors=None))) == (kind(rows_of(b"a")), 1)


def test_what_goes_past_the_model_to_the_steps_after_it_has_no_say():
    """A detector's scale has four numbers, however many pictures there are."""
    tensors = (
        Tensor(name="f", dtype="FP32", shape=(3, 1), data=bytes(12)),
        Tensor(name="scale", dtype="FP32", shape=(4,), data=bytes(16)),
    )
    features = Features(
        digest="d",
        takes=(spec_of("f", "FP32", (-1, 1)),),
        gives=(),
        borrowed=(spec_of("scale", "FP32", (4,)),),
        scale=1.0,
        most_bytes=1 << 30,
        tensors=tensors,
    )

    assert kind_of(request_of(b"a", features=features)) == (kind(tensors[0]), 3)
    assert kind_of(request_of(b"a", features=replace(features, tensors=None))) == (kind(rows_of(b"a")), 1)


def test_step_of_a_sequence_has_no_kind():
    assert kind_of(request_of(b"abc", sequence=1)) == (None, 1)


def test_what_waits_runs_together():
    requests = [waiting() for _ in range(3)]

    assert plan(*requests) == requests


def test_nobody_waits_and_nothing_runs():
    assert plan() == []


def test_other_kinds_are_left_for_a_later_run():
    first, other, second = waiting(b"a"), waiting(b"b", sequence=1), waiting(b"c")

    assert plan(first, other, second) == [first, second]


def test_leader_without_a_kind_runs_alone():
    assert len(plan(waiting(sequence=1), waiting(sequence=2))) == 1


def test_batch_ends_with_the_first_that_has_too_many_rows():
    """A later one with fewer rows would fit, but would overtake it."""
    first, wide, narrow = waiting(b"ab"), waiting(b"abc"), waiting(b"a")

    assert plan(first, wide, narrow, max_rows=4) == [first]


def test_batch_can_be_full_to_the_last_row():
    requests = [waiting(b"ab"), waiting(b"ab"), waiting(b"a")]

    assert plan(*requests, max_rows=4) == requests[:2]


def test_request_with_more_rows_than_a_shared_run_may_have_runs_alone():
    wide = waiting(b"abcdef")

    assert plan(wide, waiting(), max_rows=4) == [wide]


def test_batch_has_no_more_requests_than_a_message_carries():
    assert len(plan(*(waiting() for _ in range(MAX_BATCH + 5)), max_rows=4096)) == MAX_BATCH


def test_nothing_is_shared_before_anybody_knows_how_long_a_run_takes():
    assert len(plan(waiting(), waiting(), expected_s=lambda _rows: None)) == 1


def test_batch_ends_where_it_would_make_its_first_member_late():
    hurried, second, third = waiting(deadline_s=NOW_S + 0.025), waiting(), waiting()

    assert plan(hurried, second, third) == [hurried, second]


def test_batch_ends_before_a_member_that_it_would_make_late():
    first, second, hurried, fourth = waiting(), waiting(), waiting(deadline_s=NOW_S + 0.025), waiting()

    assert plan(first, second, hurried, fourth) == [first, second]


def test_leader_that_will_be_late_in_any_case_still_runs():
    """What is expected is no more than expected; a deadline that has not passed may be met."""
    late = waiting(deadline_s=NOW_S + 0.001)

    assert plan(late, waiting()) == [late]


def test_expired_requests_are_passed_over():
    gone, alive, gone_too = waiting(deadline_s=NOW_S), waiting(), waiting(deadline_s=NOW_S - 1)

    assert plan(gone, alive, gone_too) == [alive]
    assert plan(gone) == []


def test_nothing_is_expected_before_the_first_run():
    assert RunTimeEstimate().expected_s(1) is None


def test_fixed_cost_and_cost_of_a_row_are_told_apart_once_runs_differ():
    estimate = RunTimeEstimate()
    for i in range(200):
        rows = 1 + i % 8
        estimate.observe(rows, 0.010 + 0.002 * rows)

    assert estimate.expected_s(1) == pytest.approx(0.012, rel=0.05)
    assert estimate.expected_s(32) == pytest.approx(0.074, rel=0.05)


def test_runs_of_one_size_say_nothing_about_a_fixed_cost_so_rows_are_taken_to_cost_all():
    estimate = RunTimeEstimate()
    for _ in range(50):
        estimate.observe(2, 0.010)

    assert estimate.expected_s(8) == pytest.approx(0.040)


def test_one_run_that_was_held_up_changes_little():
    estimate = RunTimeEstimate()
    for _ in range(50):
        estimate.observe(1, 0.010)
    estimate.observe(1, 60.0)

    assert estimate.expected_s(1) < 0.020


def test_model_that_becomes_slow_for_good_is_believed():
    """Heat halves the clock of many boards; then again what fitted into a deadline no longer does."""
    estimate = RunTimeEstimate()
    for _ in range(50):
        estimate.observe(1, 0.001)
    for _ in range(6 * MEMORY_RUNS):
        estimate.observe(1, 1.0)

    assert estimate.expected_s(1) == pytest.approx(1.0, rel=0.5)


def test_unsteady_runs_are_expected_to_take_longer_than_their_mean():
    estimate = RunTimeEstimate()
    for i in range(200):
        estimate.observe(1, 0.005 if i % 2 else 0.015)

    assert estimate.expected_s(1) >= 0.015


def test_runs_that_took_no_time_at_all_do_not_stop_the_learning():
    estimate = RunTimeEstimate()
    for _ in range(50):
        estimate.observe(1, 0.0)
    for _ in range(400):
        estimate.observe(1, 0.010)

    assert estimate.expected_s(1) == pytest.approx(0.010, rel=0.5)
