"""What makes a tensor the one it claims to be, and the one that is wanted."""

import pytest

from edged.errors import TensorError
from edged.runtime.tensors import Tensor, check_spec, check_tensor, fits
from tests.fakes.workers import spec_of


@pytest.mark.parametrize(("shape", "size"), [((4,), 15), ((4,), 17), ((2**40, 2**40), 16), ((0,), 1), ((), 0)])
def test_bytes_that_do_not_fill_the_shape_are_refused(shape, size):
    with pytest.raises(TensorError, match="tensor t"):
        check_tensor(Tensor(name="t", dtype="FP32", shape=shape, data=bytes(size)))


def test_shapes_fit_where_every_axis_is_free_or_equal():
    assert fits((2, 3), (2, 3))
    assert fits((2, 3), (-1, 3))
    assert not fits((2, 3), (-1, 4))
    assert not fits((2, 3), (-1,))


def test_a_tensor_with_another_datatype_or_shape_is_refused():
    tensor = Tensor(name="t", dtype="FP32", shape=(2, 3), data=bytes(24))

    check_spec(tensor, spec_of("t", "FP32", (-1, 3)))
    with pytest.raises(TensorError, match="datatype is FP32, expected INT32"):
        check_spec(tensor, spec_of("t", "INT32", (-1, 3)))
    with pytest.raises(TensorError, match="shape is"):
        check_spec(tensor, spec_of("t", "FP32", (3, 3)))
