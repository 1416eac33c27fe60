"""Inputs that are made up for a model fit its signature, are always the same, and are such as models take."""

import numpy as np
import pytest

from edged.dev.local.tensors import MOST_VALUES, SIZES, make_inputs, possible_shapes
from edged.pipeline.datatypes import NUMBERS
from edged.pipeline.spec import TensorSpec, may_meet
from edged.runtime.tensors import check_tensor
from edged.worker.arrays import to_array

DTYPES = [*NUMBERS, "BYTES"]


def spec(*shape, dtype="FP32", name="x"):
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def test_a_model_without_free_axes_has_one_shape():
    assert list(possible_shapes([spec(1, 3, 8, 8), spec()])) == [((1, 3, 8, 8), ())]


def test_the_first_free_axis_is_a_batch_of_one_and_the_others_have_one_size():
    shapes = list(possible_shapes([spec(-1, 3, -1, -1), spec(-1, 2)]))

    assert shapes[: len(SIZES)] == [((1, 3, size, size), (1, 2)) for size in SIZES]
    assert len(set(shapes)) == len(shapes)


def test_after_that_the_first_axis_has_the_size_of_the_others():
    """Where it is no batch."""
    assert list(possible_shapes([spec(-1, 4)])) == [((1, 4),), *(((size, 4),) for size in SIZES if size != 1)]


def test_inputs_that_would_fill_the_memory_are_left_out():
    shapes = [shape for (shape,) in possible_shapes([spec(-1, 3, -1, -1)])]

    assert (1, 3, 640, 640) in shapes
    assert (128, 3, 128, 128) in shapes
    assert (224, 3, 224, 224) not in shapes


def test_what_a_model_has_no_choice_about_is_tried_however_large_it_is():
    assert list(possible_shapes([spec(MOST_VALUES, 2)])) == [((MOST_VALUES, 2),)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_values_are_of_the_type_and_shape(dtype, shape):
    wanted = spec(*shape, dtype=dtype)

    (tensor,) = make_inputs([wanted], [shape], number=0)

    check_tensor(tensor)
    assert may_meet(spec(*tensor.shape, dtype=tensor.dtype), wanted)


def test_numbers_are_the_same_each_time_and_others_for_each_sample():
    first, again, second = (bytes(make_inputs([spec(8)], [(8,)], number=n)[0].data) for n in (0, 0, 1))

    assert first == again != second


@pytest.mark.parametrize("dtype", ["INT32", "INT64", "UINT16"])
def test_wide_integers_are_places_in_a_table_of_any_length(dtype):
    (tensor,) = make_inputs([spec(100, dtype=dtype)], [(100,)], number=0)

    assert set(to_array(tensor).tolist()) == {0, 1}


@pytest.mark.parametrize(("dtype", "most"), [("FP16", 1.0), ("FP32", 1.0), ("FP64", 1.0), ("UINT8", 255)])
def test_fractions_are_of_one_and_bytes_have_all_values(dtype, most):
    (tensor,) = make_inputs([spec(1000, dtype=dtype)], [(1000,)], number=0)
    values = to_array(tensor)

    assert values.min() >= 0
    assert most * 0.9 < values.max() <= most
    assert np.unique(values).size > 100
