"""Tensors and arrays are the same values in two forms."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.errors import TensorError
from edged.pipeline.spec import Datatype
from edged.runtime.tensors import Tensor
from edged.worker.arrays import NUMPY, to_array, to_tensor

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@given(st.data(), st.sampled_from(sorted(NUMPY)))
def test_numbers_come_back_as_they_were(data, dtype):
    array = data.draw(hnp.arrays(NUMPY[dtype], shapes))

    tensor = to_tensor("t", array)

    assert (tensor.dtype, tensor.shape) == (dtype, array.shape)
    np.testing.assert_array_equal(to_array(tensor), array)


@given(st.lists(st.binary(max_size=6), max_size=6))
def test_texts_come_back_with_every_zero_byte(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items

    assert to_array(to_tensor("t", array)).tolist() == items


def test_every_datatype_of_the_protocol_has_an_array():
    assert set(NUMPY) | {"BYTES"} == set(Datatype.__args__)


def test_numbers_are_not_copied_when_they_are_aligned():
    data = bytearray(np.arange(4, dtype=np.float32).tobytes())
    array = to_array(Tensor(name="t", dtype="FP32", shape=(4,), data=data))

    data[:4] = np.float32(9).tobytes()

    assert array[0] == 9


def test_numbers_at_an_odd_address_are_aligned():
    data = memoryview(bytearray(17))[1:]

    assert to_array(Tensor(name="t", dtype="FP32", shape=(4,), data=data)).flags.aligned


def test_an_array_that_is_not_contiguous_travels_in_row_major_order():
    array = np.arange(6, dtype=np.int32).reshape(2, 3).T

    np.testing.assert_array_equal(to_array(to_tensor("t", array)), array)


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ((1,), b""),
        ((1,), b"\x01\x00\x00"),
        ((1,), struct.pack("<I", 5) + b"four"),
        ((1,), struct.pack("<I", 2**32 - 1)),
        ((1,), struct.pack("<I", 1) + b"ab"),
        ((2,), struct.pack("<I", 4) + b"four"),
        ((2**60,), b"\x00" * 64),
        ((0,), b"x"),
    ],
)
def test_texts_that_do_not_add_up_are_refused(shape, data):
    with pytest.raises(TensorError, match="tensor t"):
        to_array(Tensor(name="t", dtype="BYTES", shape=shape, data=data))


@given(st.binary(max_size=40), st.integers(0, 10))
def test_hostile_texts_are_texts_or_refused(data, count):
    try:
        array = to_array(Tensor(name="t", dtype="BYTES", shape=(count,), data=data))
    except TensorError:
        return
    assert sum(4 + len(item) for item in array.tolist()) == len(data)


def test_a_dtype_without_a_name_in_the_protocol_does_not_travel():
    with pytest.raises(TensorError, match="complex"):
        to_tensor("t", np.zeros(1, dtype=np.complex64))


def test_a_shape_that_no_array_can_have_is_refused():
    """Without elements its bytes are right, and still numpy cannot count its other axes."""
    tensor = Tensor(name="t", dtype="FP32", shape=(0, 1 << 48, 1 << 48), data=b"")

    with pytest.raises(TensorError, match="no array can have shape"):
        to_array(tensor)
