"""Casts, scales and paddings do what their descriptions say, and what numpy does where it has the same."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.errors import TensorError
from edged.pipeline.kernels.types import NUMPY
from edged.pipeline.steps.arrays import NUMERIC, Cast, Normalize, Pad, PadTo
from edged.pipeline.steps.base import MisfitError
from tests.fakes.single_steps import run, spec

shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)


def as_described(value, to: str):
    """What ``cast@1`` makes of a Python number, computed exactly."""
    dtype = NUMPY[to]
    if to == "BOOL":
        return value != 0
    if dtype.kind == "f":
        try:
            return dtype.type(value)
        except OverflowError:
            return dtype.type(math.copysign(math.inf, value))
    limits = np.iinfo(dtype)
    if math.isnan(value):
        return 0
    if math.isinf(value):
        return limits.max if value > 0 else limits.min
    return min(max(round(Fraction(value)), limits.min), limits.max)


@given(st.sampled_from(NUMERIC), st.sampled_from(NUMERIC), st.data())
def test_a_cast_saturates_and_rounds_half_to_even(of, to, data):
    """Python's ``round`` of a fraction is exact, and rounds half to even."""
    values = data.draw(hnp.arrays(NUMPY[of], shapes))

    with np.errstate(over="ignore"):  # for the reference only: the step has to do without
        wanted = [as_described(value, to) for value in values.ravel().tolist()]
    got = run(Cast(input="x", output="y", to=to), x=values)["y"]

    assert got.dtype == NUMPY[to]
    np.testing.assert_array_equal(got.ravel(), np.array(wanted, dtype=NUMPY[to]))


@pytest.mark.parametrize("to", ["INT8", "UINT8", "INT32", "UINT32", "INT64", "UINT64"])
@pytest.mark.parametrize("of", [np.float16, np.float32, np.float64])
def test_the_ends_of_integers_are_met_exactly(of, to):
    """The highest INT64 is no float: what is rounded up to 2**63 is already too large."""
    limits = np.iinfo(NUMPY[to])
    with np.errstate(over="ignore"):
        edges = np.array([limits.min, limits.max], dtype=of)
        values = np.concatenate([edges, np.nextafter(edges, of(np.inf)), np.nextafter(edges, of(-np.inf))])

    got = run(Cast(input="x", output="y", to=to), x=values)["y"]

    assert got.tolist() == [as_described(value, to) for value in values.tolist()]


@given(
    values=hnp.arrays(st.sampled_from(["u1", "i1", "u2", "i2", "f4"]), st.tuples(*[st.integers(1, 4)] * 3)),
    axis=st.integers(-3, 2),
    one_mean=st.booleans(),
    one_std=st.booleans(),
    data=st.data(),
)
def test_normalizing_rounds_each_operation_to_fp32(values, axis, one_mean, one_std, data):
    count = values.shape[axis]
    numbers = st.floats(-100, 100)
    mean = data.draw(st.tuples(*[numbers] * (1 if one_mean else count)))
    std = data.draw(st.tuples(*[st.floats(0.01, 100)] * (1 if one_std else count)))
    step = Normalize(input="x", output="y", scale=1 / 255, mean=mean, std=std, axis=axis)

    got = run(step, x=values)["y"]

    scalar = np.float32
    with np.errstate(all="ignore"):
        for where in np.ndindex(values.shape):
            c = where[axis]
            x = scalar(scalar(values[where]) * scalar(1 / 255))
            wanted = scalar(scalar(x - scalar(mean[c % len(mean)])) / scalar(std[c % len(std)]))
            np.testing.assert_array_equal(got[where], wanted)


def test_pixels_become_what_models_of_imagenet_were_trained_with():
    """The usual constants: black is (0 - 0.485) / 0.229, white (1 - 0.485) / 0.229."""
    step = Normalize(input="x", output="y", scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    got = run(step, x=np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8))["y"]

    np.testing.assert_allclose(got[0], [[-2.1179, -2.0357, -1.8044], [2.2489, 2.4286, 2.64]], atol=1e-4)


@pytest.mark.parametrize(
    ("step", "given", "key"),
    [
        (Normalize(input="x", output="y", mean=(1.0, 2.0)), "UINT8 4 4 3", "mean"),
        (Normalize(input="x", output="y", std=(1.0, 2.0)), "UINT8 4 4 3", "std"),
        (Normalize(input="x", output="y", mean=(1.0, 2.0, 3.0), std=(1.0, 2.0)), "UINT8 -1 -1 -1", "std"),
        (Normalize(input="x", output="y", axis=3), "UINT8 4 4 3", "axis"),
        (Normalize(input="x", output="y"), "FP32", "axis"),
        (Normalize(input="x", output="y"), "INT32 4", "input"),
        (Normalize(input="x", output="y"), "BYTES 1", "input"),
        (Cast(input="x", output="y", to="FP32"), "BYTES 1", "input"),
        (Pad(input="x", output="y", before=(1,), after=(1, 1)), "UINT8 4 4", "before"),
        (Pad(input="x", output="y", before=(1, 1), after=(1,)), "UINT8 4 4", "after"),
        (Pad(input="x", output="y", before=(1,), after=(1,), value=256), "UINT8 4", "value"),
        (Pad(input="x", output="y", before=(1,), after=(1,), value=0.5), "UINT8 4", "value"),
        (Pad(input="x", output="y", before=(1,), after=(1,), filling="edge"), "UINT8 0", "filling"),
        (Pad(input="x", output="y", before=(1,), after=(1,), filling="edge", value=1), "UINT8 4", "value"),
        (Pad(input="x", output="y", before=(4,), after=(1,), filling="reflect"), "UINT8 4", "filling"),
        (Pad(input="x", output="y", before=(1 << 24,) * 2, after=(0, 0)), "UINT8 4 4", "output"),
        (PadTo(input="x", output="y", axis=0, length=3), "UINT8 4", "length"),
        (PadTo(input="x", output="y", axis=1, length=3), "UINT8 4", "axis"),
        (PadTo(input="x", output="y", axis=0, length=9, filling="reflect"), "UINT8 4", "filling"),
        (PadTo(input="x", output="y", axis=0, length=9, value=-1), "UINT8 4", "value"),
        (PadTo(input="x", output="y", axis=0, length=1 << 24), "UINT8 4 5", "output"),
    ],
)
def test_what_a_step_does_not_take_is_found_in_the_manifest(step, given, key):
    with pytest.raises(MisfitError) as caught:
        step.gives({"x": spec(given)})

    assert caught.value.key == key


@pytest.mark.parametrize(
    ("step", "given", "message"),
    [
        (
            Normalize(input="x", output="y", mean=(1.0, 2.0)),
            np.zeros((2, 3), np.float32),
            r"step normalize@1: mean: .*FP32 \[2, 3\]",
        ),
        (
            Normalize(input="x", output="y"),
            np.zeros(3, np.int64),
            r"step normalize@1: input: .*x, which is INT64 \[3\]",
        ),
        (
            Pad(input="x", output="y", before=(1,), after=(3,), filling="reflect"),
            np.zeros(3),
            r"step pad@1: filling: .*at least 4",
        ),
        (Pad(input="x", output="y", before=(1 << 24,), after=(0,)), np.zeros((2, 2)), r"step pad@1: before"),
        (
            PadTo(input="x", output="y", axis=0, length=1 << 24),
            np.zeros((1, 5)),
            r"step pad_to@1: output: .*at most 67108864",
        ),
        (
            PadTo(input="x", output="y", axis=0, length=2),
            np.zeros((3, 5)),
            r"step pad_to@1: length: expected at least 3",
        ),
    ],
)
def test_what_a_step_does_not_take_is_told_to_the_app(step, given, message):
    """Axes that the manifest leaves open are known only when a request is there."""
    with pytest.raises(TensorError, match=message):
        run(step, x=given)


fillings = st.sampled_from(["constant", "edge", "reflect"])


@given(
    values=hnp.arrays(st.sampled_from(["u1", "i4", "f2", "f4"]), hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)),
    filling=fillings,
    data=st.data(),
)
def test_padding_equals_numpys(values, filling, data):
    widths = [
        data.draw(st.tuples(*[st.integers(0, size - 1 if filling == "reflect" else 3)] * 2)) for size in values.shape
    ]
    before, after = zip(*widths, strict=True)
    value = 7 if filling == "constant" else 0
    step = Pad(input="x", output="y", before=before, after=after, filling=filling, value=value)

    got = run(step, x=values)["y"]

    options = {"constant_values": 7} if filling == "constant" else {}
    np.testing.assert_array_equal(got, np.pad(values, widths, mode=filling, **options))


@pytest.mark.parametrize("filling", ["constant", "edge", "reflect"])
def test_an_axis_without_elements_may_stay_so(filling):
    """Only an axis that is filled needs something to be filled with."""
    step = Pad(input="x", output="y", before=(0, 1), after=(0, 2), filling=filling)

    assert run(step, x=np.zeros((0, 3), np.int32))["y"].shape == (0, 6)


@given(
    values=hnp.arrays("i2", hnp.array_shapes(min_dims=1, max_dims=3, max_side=5)),
    length=st.integers(1, 9),
    side=st.sampled_from(["end", "start", "both"]),
    data=st.data(),
)
def test_an_axis_gets_its_length_and_keeps_what_it_can(values, length, side, data):
    axis = data.draw(st.integers(-values.ndim, values.ndim - 1))
    size = values.shape[axis]

    got = run(PadTo(input="x", output="y", axis=axis, length=length, side=side, longer="cut", value=9), x=values)["y"]

    longer, shorter = (got, values) if length >= size else (values, got)
    start = {"end": 0, "start": abs(length - size), "both": abs(length - size) // 2}[side]
    np.testing.assert_array_equal(np.take(longer, range(start, start + min(length, size)), axis=axis), shorter)
    if length > size:
        added = np.delete(got, range(start, start + size), axis=axis)
        assert (added == 9).all()


@given(
    values=hnp.arrays("f4", st.tuples(st.integers(1, 5), st.integers(1, 3))), length=st.integers(1, 9), filling=fillings
)
def test_padding_to_a_length_fills_as_padding_does(values, length, filling):
    missing = length - len(values)
    assume(missing >= 0 and (filling != "reflect" or missing < len(values)))
    value = 0.1 if filling == "constant" else 0
    pad = Pad(input="x", output="y", before=(0, 0), after=(missing, 0), filling=filling, value=value)

    got = run(PadTo(input="x", output="y", axis=0, length=length, filling=filling, value=value), x=values)["y"]

    np.testing.assert_array_equal(got, run(pad, x=values)["y"])
