"""Whether two versions of a model gave like answers."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.bundle.manifest import Tolerance
from edged.errors import TensorError
from edged.pipeline.datatypes import pack, pack_bytes
from edged.runtime.tensors import Tensor
from edged.validation.side_by_side import is_alike, unlike_outputs


def numbers(values, *, dtype="FP32", shape=None, name="y") -> Tensor:
    return Tensor(name=name, dtype=dtype, shape=shape or (len(values),), data=pack(dtype, values))


def texts(*values: str, shape=None) -> Tensor:
    data = pack_bytes([value.encode() for value in values])
    return Tensor(name="y", dtype="BYTES", shape=shape or (len(values),), data=data)


def allowed(**limits) -> Tolerance:
    return Tolerance(output="y", **limits)


@pytest.mark.parametrize(
    ("older", "newer", "tolerance", "expected"),
    [
        pytest.param(texts("cat"), texts("cat"), None, True, id="the same label"),
        pytest.param(texts("cat"), texts("dog"), None, False, id="another label"),
        pytest.param(texts("a", "b"), texts("b"), allowed(label_set=0.5), True, id="half of the labels, of which half is enough"),
        pytest.param(texts("a", "b"), texts("c"), allowed(label_set=0.5), False, id="none of them"),
        pytest.param(texts("a", "b"), texts("b"), None, False, id="fewer labels than before"),
        pytest.param(numbers([7], dtype="INT64"), numbers([8], dtype="INT64"), None, False, id="another class"),
        pytest.param(
            numbers([7], dtype="INT64"), numbers([8], dtype="INT64"), allowed(absolute=1), True, id="a count that may differ"
        ),
        pytest.param(numbers([True], dtype="BOOL"), numbers([False], dtype="BOOL"), None, False, id="another truth"),
        pytest.param(numbers([0.25]), numbers([0.75]), None, True, id="scores that nobody limits"),
        pytest.param(numbers([0.25]), numbers([math.nan]), None, False, id="no number in place of one"),
        pytest.param(numbers([math.inf]), numbers([0.75]), None, True, id="one in place of none"),
        pytest.param(numbers([0.25]), numbers([0.26]), allowed(absolute=0.02), True, id="near enough"),
        pytest.param(numbers([0.25]), numbers([0.28]), allowed(absolute=0.02), False, id="too far"),
        pytest.param(numbers([359.0]), numbers([1.0]), allowed(absolute=3, period=360), True, id="the shorter way round"),
        pytest.param(numbers([1.0, 2.0]), numbers([10.0, 20.0]), allowed(cosine=0.99), True, id="the same direction"),
        pytest.param(numbers([1.0, 2.0]), numbers([2.0, -1.0]), allowed(cosine=0.99), False, id="another direction"),
        pytest.param(
            numbers([1, 2, 4, 3], shape=(2, 2)), numbers([0, 9, 9, 0], shape=(2, 2)), allowed(top_1=0.9), True, id="the same best"
        ),
        pytest.param(
            numbers([1, 2, 4, 3], shape=(2, 2)), numbers([0, 9, 0, 9], shape=(2, 2)), allowed(top_1=0.1), False, id="another in one row"
        ),
        pytest.param(numbers([1.0]), numbers([1], dtype="INT32"), None, False, id="another datatype"),
        pytest.param(numbers([1.0]), numbers([1.0, 2.0]), allowed(absolute=9), False, id="another shape"),
    ],
)  # fmt: skip
def test_what_is_alike(older, newer, tolerance, expected):
    assert is_alike(older, newer, tolerance) is expected


def test_output_that_is_missing_is_unlike_and_one_that_is_new_is_not():
    old = [numbers([1.0], name="a"), numbers([1.0], name="b")]
    new = [numbers([1.0], name="b"), numbers([1.0], name="c")]

    assert unlike_outputs(old, new, {}) == ["a"]


def test_labels_whose_bytes_are_no_elements_are_an_error():
    broken = Tensor(name="y", dtype="BYTES", shape=(1,), data=struct.pack("<I", 9) + b"x")

    with pytest.raises(TensorError):
        is_alike(texts("a"), broken, allowed(label_set=1.0))


@pytest.mark.parametrize("shape", [(1000, 100), (100_000,), (100_000, 1)])
def test_of_a_large_output_rows_all_over_it_are_looked_at(shape):
    """A change everywhere is seen; one in a single element need not be."""
    older, same, other = (numbers([value] * 100_000, shape=shape) for value in (1.0, 1.0, 2.0))
    last = numbers([1.0] * 70_000 + [2.0] * 30_000, shape=shape)

    assert is_alike(older, same, allowed(absolute=0.5))
    assert not is_alike(older, other, allowed(absolute=0.5))
    if len(shape) == 2:
        assert not is_alike(older, last, allowed(absolute=0.5)), "the end of it is looked at, too"


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=50), st.data())
def test_one_element_beyond_its_tolerance_makes_an_answer_unlike(values, data):
    at = data.draw(st.integers(0, len(values) - 1))
    near, far = ([value + (i == at) * apart for i, value in enumerate(values)] for apart in (0.5, 2.0))

    assert is_alike(numbers(values), numbers(near), allowed(absolute=1.0))
    assert not is_alike(numbers(values), numbers(far), allowed(absolute=1.0))
