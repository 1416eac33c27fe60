"""Histograms: every value in exactly one bucket."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.telemetry.histogram import Histogram

BOUNDS = (1.0, 2.0, 5.0)


@pytest.mark.parametrize(
    ("value", "cumulative"),
    [(0.0, (1, 1, 1, 1)), (1.0, (1, 1, 1, 1)), (1.1, (0, 1, 1, 1)), (5.0, (0, 0, 1, 1)), (5.1, (0, 0, 0, 1))],
)
def test_value_is_counted_under_each_bound_that_is_no_smaller(value, cumulative):
    histogram = Histogram(BOUNDS)
    histogram.observe(value)

    assert histogram.cumulative == cumulative
    assert (histogram.count, histogram.sum) == (1, value)


def test_a_bucket_can_be_looked_at_in_parts_that_are_equally_far_apart():
    histogram = Histogram((1.0, 16.0), parts=4)
    for value in (0.5, 1.5, 3.0, 9.0, 20.0):
        histogram.observe(value)

    assert histogram.fine_bounds == pytest.approx((1.0, 2.0, 4.0, 8.0, 16.0))
    assert histogram.fine_cumulative == (1, 2, 3, 3, 4, 5)
    assert histogram.cumulative == (1, 4, 5)


@given(values=st.lists(st.floats(0, 10)), parts=st.integers(1, 7))
def test_parts_change_nothing_for_whoever_does_not_look_closer(values, parts):
    plain, fine = Histogram(BOUNDS), Histogram(BOUNDS, parts=parts)
    for value in values:
        plain.observe(value)
        fine.observe(value)

    assert set(BOUNDS) <= set(fine.fine_bounds)
    assert (fine.cumulative, fine.count, fine.sum) == (plain.cumulative, plain.count, plain.sum)


@given(values=st.lists(st.floats(0, 10)))
def test_buckets_rise_to_the_count(values):
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.observe(value)

    assert histogram.cumulative == tuple(sum(value <= bound for value in values) for bound in (*BOUNDS, math.inf))
    assert histogram.count == len(values)
    assert histogram.sum == pytest.approx(sum(values))
