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


@given(values=st.lists(st.floats(0, 10)))
def test_buckets_rise_to_the_count(values):
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.observe(value)

    assert histogram.cumulative == tuple(sum(value <= bound for value in values) for bound in (*BOUNDS, math.inf))
    assert histogram.count == len(values)
    assert histogram.sum == pytest.approx(sum(values))
