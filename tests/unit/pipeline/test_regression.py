"""Numbers that models estimate, and what a dial shows."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.errors import TensorError
from edged.pipeline.steps import DialReading, Scale
from edged.pipeline.steps.base import MisfitError
from tests.fakes.steps import floats, run_step, spec

numbers = st.floats(-1e6, 1e6, width=32)
arrays = hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=3, max_side=4), elements=numbers)


def scaled(values, **keys):
    return run_step(Scale(input="x", output="y", **keys), {"x": values})["y"]


def reading(*angles, **keys):
    gauge = {"start_degrees": 225.0, "sweep_degrees": 270.0, "low": 0.0, "high": 10.0}
    step = DialReading(input="angle", output="reading", **{**gauge, **keys})
    return run_step(step, {"angle": floats(*angles)})["reading"].tolist()


@given(arrays, numbers, numbers, st.none() | st.floats(-100, 0), st.none() | st.floats(0, 100))
def test_scaling_is_the_rounded_result_of_exact_arithmetic(values, gain, offset, low, high):
    results = scaled(values, gain=gain, offset=offset, low=low, high=high)

    wanted = [
        min(max(x * gain + offset, -math.inf if low is None else low), math.inf if high is None else high)
        for x in values.astype(float).ravel().tolist()
    ]
    assert results.ravel().tolist() == np.array(wanted, np.float32).ravel().tolist()


def test_nothing_finite_becomes_of_nan():
    assert np.isnan(scaled(floats(np.nan), gain=0.0, low=1.0, high=2.0)).all()


def test_bounds_that_leave_nothing_are_refused():
    with pytest.raises(MisfitError, match="low: expected at most high"):
        Scale(input="x", output="y", gain=1.0, low=2.0, high=1.0).gives({"x": spec("x", 1)})


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e31])
@pytest.mark.parametrize("key", ["gain", "offset", "low"])
def test_no_key_is_out_of_bounds(key, value):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"op": "scale@1", "input": "x", "output": "y", "gain": 1.0, key: value}, Scale)


@pytest.mark.parametrize(
    ("angle", "shown"),
    [(225, 0), (360, 5), (0, 5), (135, 10), (225 + 27, 1), (150, 10), (210, 0), (585, 0), (-135, 0), (-225, 10)],
)
def test_a_gauge_shows_what_its_needle_points_at(angle, shown):
    """From the lower left over the top to the lower right; below, it shows the nearer end."""
    assert reading(angle) == [shown]


@given(
    start=st.integers(-360, 360),
    sweep=st.integers(-360, 360).filter(bool),
    share=st.integers(0, 16).map(lambda i: i / 16),
    turns=st.integers(-3, 3),
)
def test_an_angle_on_the_scale_shows_its_share_of_it(start, sweep, share, turns):
    """However many turns away; at the one place of a full circle that is both ends, it shows the start."""
    keys = {"start_degrees": float(start), "sweep_degrees": float(sweep), "low": -1.0, "high": 3.0}

    (shown,) = reading(start + share * sweep + 360 * turns, **keys)

    assert shown == pytest.approx(-1 + 4 * (share if share * abs(sweep) != 360 else 0), abs=1e-6)


@given(angle=st.floats(-1000, 1000, width=32), sweep=st.integers(-360, 360).filter(bool))
def test_a_reading_is_never_beyond_the_scale(angle, sweep):
    (shown,) = reading(angle, sweep_degrees=float(sweep))

    assert 0 <= shown <= 10


def test_a_scale_may_go_on_to_the_middle_of_the_gap():
    """A needle that rests a little below zero says so."""
    assert reading(224, 136, 181, 179, extends=True) == pytest.approx([-10 / 270, 2710 / 270, -440 / 270, 3140 / 270])


def test_a_hairs_breadth_before_the_start_of_a_full_circle_is_not_its_end():
    """Rounded, the remainder is a whole turn."""
    assert reading(-1e-30, start_degrees=0.0, sweep_degrees=360.0) == [0]


@pytest.mark.parametrize("angle", [np.nan, np.inf, -np.inf])
def test_an_angle_that_is_none_has_no_reading(angle):
    assert np.isnan(reading(angle)).all()


def test_a_dial_without_a_sweep_is_refused():
    with pytest.raises(MisfitError, match="sweep_degrees: expected a sweep that is not 0"):
        DialReading(input="x", output="y", start_degrees=0.0, sweep_degrees=0.0, low=0.0, high=1.0).gives(
            {"x": spec("x", 1)}
        )


@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_numbers_are_fp32(dtype):
    with pytest.raises(TensorError, match=r"scale@1: input: expected FP32, got x"):
        scaled(np.zeros(1, dtype), gain=1.0)
