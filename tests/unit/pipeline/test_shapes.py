"""Steps on shapes move elements and change none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.errors import TensorError
from edged.pipeline.steps.base import MisfitError
from edged.pipeline.steps.shapes import Concat, Layout, Reshape, Stack, Transpose
from tests.fakes.single_steps import run, spec
from tests.golden.pipeline.vectors import texts

orders = st.sampled_from(["HWC", "CHW", "NHWC", "NCHW"])
channels = st.sampled_from(["same", "reversed"])
numbers = hnp.arrays(st.sampled_from(["u1", "i8", "f2", "f4", "?"]), hnp.array_shapes(max_dims=4, max_side=4))


@given(from_=orders, to=orders, channels=channels, sizes=st.tuples(*[st.integers(1, 4)] * 3))
def test_a_layout_puts_each_value_where_its_letters_say(from_, to, channels, sizes):
    size = dict(zip("HWC", sizes, strict=True)) | {"N": 1}
    image = np.arange(np.prod(sizes)).reshape([size[letter] for letter in from_])

    got = run(Layout(input="x", output="y", from_=from_, to=to, channels=channels), x=image)["y"]

    assert got.shape == tuple(size[letter] for letter in to)
    for where in np.ndindex(got.shape):
        at = dict(zip(to, where, strict=True)) | ({} if "N" in to else {"N": 0})
        if channels == "reversed":
            at["C"] = size["C"] - 1 - at["C"]
        assert got[where] == image[tuple(at[letter] for letter in from_)]


@given(from_=orders, to=orders, channels=channels)
def test_a_layout_is_undone_by_its_reverse(from_, to, channels):
    image = np.arange(24, dtype=np.int16).reshape((1, 2, 3, 4)[-len(from_) :])
    there = Layout(input="x", output="y", from_=from_, to=to, channels=channels)
    back = Layout(input="y", output="x", from_=to, to=from_, channels=channels)

    np.testing.assert_array_equal(run(back, **run(there, x=image))["x"], image)


def test_several_images_stay_several():
    images = np.arange(48).reshape(2, 2, 4, 3)

    got = run(Layout(input="x", output="y", from_="NHWC", to="NCHW"), x=images)["y"]

    np.testing.assert_array_equal(got, np.moveaxis(images, 3, 1))


@given(numbers, st.data())
def test_reshaping_keeps_the_elements_and_their_order(values, data):
    sizes = data.draw(st.permutations(values.shape))
    free = data.draw(st.none() | st.integers(0, len(sizes) - 1))
    shape = tuple(-1 if i == free else size for i, size in enumerate(sizes))

    got = run(Reshape(input="x", output="y", shape=shape), x=values)["y"]

    assert got.shape == tuple(sizes)
    np.testing.assert_array_equal(got.ravel(), values.ravel())


def test_texts_are_reshaped_and_transposed_too():
    got = run(Reshape(input="x", output="y", shape=(1, -1)), x=texts(b"a", b"b"))["y"]

    assert got.tolist() == [[b"a", b"b"]]
    assert run(Transpose(input="x", output="y", axes=(1, 0)), x=got)["y"].tolist() == [[b"a"], [b"b"]]


@given(numbers, st.data())
def test_transposing_equals_numpys(values, data):
    axes = data.draw(st.permutations(range(values.ndim)))

    got = run(Transpose(input="x", output="y", axes=tuple(axes)), x=values)["y"]

    np.testing.assert_array_equal(got, np.transpose(values, axes))


@given(numbers, st.data())
def test_parts_put_together_are_the_whole(values, data):
    axis = data.draw(st.integers(-values.ndim, values.ndim - 1))
    cut = data.draw(st.integers(0, values.shape[axis]))
    parts = np.split(values, [cut], axis=axis)

    got = run(Concat(inputs=("a", "b"), output="y", axis=axis), a=parts[0], b=parts[1])["y"]

    np.testing.assert_array_equal(got, values)


@given(numbers, st.data())
def test_stacked_tensors_lie_along_the_new_axis(values, data):
    axis = data.draw(st.integers(-values.ndim - 1, values.ndim))

    got = run(Stack(inputs=("a", "b", "a"), output="y", axis=axis), a=values, b=values[::-1])["y"]

    np.testing.assert_array_equal(got, np.stack([values, values[::-1], values], axis=axis))


def test_the_sizes_that_one_input_tells_hold_for_all():
    """Free axes are known as soon as any of the tensors that have to agree knows them."""
    known = {"a": spec("FP32 -1 3 2", "a"), "b": spec("FP32 4 3 -1", "b")}

    assert Concat(inputs=("a", "b"), output="y", axis=0).gives(known)[0].shape == (-1, 3, 2)
    assert Stack(inputs=("a", "b"), output="y", axis=-1).gives(known)[0].shape == (4, 3, 2, 2)


@pytest.mark.parametrize(
    ("step", "given", "key"),
    [
        (Layout(input="x", output="y", from_="HWC", to="CHW"), "UINT8 1 4 4 3", "input"),
        (Layout(input="x", output="y", from_="NHWC", to="CHW"), "UINT8 2 4 4 3", "to"),
        (Layout(input="x", output="y", from_="HWC", to="CHW"), "BYTES 1 1 1", "input"),
        (Reshape(input="x", output="y", shape=(-1, -1)), "UINT8 4", "shape"),
        (Reshape(input="x", output="y", shape=(3, -1)), "UINT8 4", "shape"),
        (Reshape(input="x", output="y", shape=(0, -1)), "UINT8 0", "shape"),
        (Reshape(input="x", output="y", shape=(5,)), "UINT8 4", "shape"),
        (Transpose(input="x", output="y", axes=(0, 0)), "UINT8 4 4", "axes"),
        (Transpose(input="x", output="y", axes=(0,)), "UINT8 4 4", "axes"),
        (Concat(inputs=("x", "other"), output="y", axis=1), "UINT8 4 3", "inputs"),
        (Concat(inputs=("x", "other"), output="y", axis=0), "FP32 2 3", "inputs"),
        (Concat(inputs=("x", "other"), output="y", axis=2), "UINT8 2 3", "axis"),
        (Concat(inputs=("x", "other"), output="y", axis=0), "UINT8 2 3 1", "inputs"),
        (Concat(inputs=("x",), output="y", axis=0), "BYTES 1", "inputs"),
        (Concat(inputs=("x",) * 16, output="y", axis=0), "UINT8 16777216", "output"),
        (Stack(inputs=("x", "other"), output="y", axis=0), "UINT8 4 3", "inputs"),
        (Stack(inputs=("x", "other"), output="y", axis=3), "UINT8 2 3", "axis"),
        (Stack(inputs=("x", "x"), output="y", axis=0), "UINT8 1 1 1 1 1 1 1 1", "inputs"),
        (Stack(inputs=("x",) * 16, output="y", axis=0), "UINT8 16777216", "output"),
    ],
)
def test_what_a_step_does_not_take_is_found_in_the_manifest(step, given, key):
    with pytest.raises(MisfitError) as caught:
        step.gives({"x": spec(given), "other": spec("UINT8 2 3", "other")})

    assert caught.value.key == key


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Layout(input="x", output="y", from_="NHWC", to="CHW"), r"step layout@1: input: .* 4 axes, got x"),
        (Reshape(input="x", output="y", shape=(4, -1)), r"step reshape@1: shape: .* INT64 \[2, 3\], got \[4, any\]"),
        (Concat(inputs=("x", "other"), output="y", axis=0), r"step concat@1: inputs: .* agree with x, got other"),
    ],
)
def test_what_a_step_does_not_take_is_told_to_the_app(step, message):
    with pytest.raises(TensorError, match=message):
        run(step, x=np.zeros((2, 3), np.int64), other=np.zeros((2, 2), np.int64))


def test_the_order_of_axes_is_written_from_and_to():
    """``from`` is a word of Python, not of JSON."""
    import msgspec

    step = Layout(input="x", output="y", from_="HWC", to="NCHW")

    assert msgspec.to_builtins(step) == {"op": "layout@1", "input": "x", "output": "y", "from": "HWC", "to": "NCHW"}
