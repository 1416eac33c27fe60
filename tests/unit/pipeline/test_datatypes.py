"""Values and bytes are the same tensor, and numpy agrees about the bytes."""

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.pipeline.datatypes import NUMBERS, can_hold, has_elements, pack, pack_bytes, size_bytes, unpack, unpack_bytes
from edged.pipeline.spec import Datatype
from edged.worker.arrays import NUMPY


def test_every_datatype_has_elements_of_one_size_but_one():
    assert {*NUMBERS, "BYTES"} == set(get_args(Datatype))


@pytest.mark.parametrize("dtype", NUMBERS)
@given(data=st.data())
def test_values_and_bytes_are_what_numpy_makes_of_them(dtype, data):
    array = data.draw(
        hnp.arrays(NUMPY[dtype], st.integers(0, 5), elements={"allow_nan": False} if "FP" in dtype else None)
    )

    assert list(unpack(dtype, memoryview(array.tobytes()))) == array.tolist()
    assert pack(dtype, array.tolist()) == array.tobytes()
    assert size_bytes(dtype, (1, array.size)) == array.nbytes


@pytest.mark.parametrize("dtype", NUMBERS)
def test_ranges_are_those_of_numpy(dtype):
    number, found = NUMBERS[dtype], NUMPY[dtype]
    if dtype == "BOOL":
        limits = (0, 1)
    else:
        info = np.finfo(found) if number.is_float else np.iinfo(found)
        limits = (float(info.min), float(info.max)) if number.is_float else (int(info.min), int(info.max))

    assert (number.lowest, number.highest) == limits


@pytest.mark.parametrize("dtype", [dtype for dtype in NUMBERS if dtype not in {"BOOL", "FP64"}])
def test_what_is_out_of_range_is_not_packed(dtype):
    number = NUMBERS[dtype]
    beyond = number.highest * 2 if number.is_float else number.highest + 1
    below = number.lowest * 2 if number.is_float else number.lowest - 1

    for value in (beyond, below):
        assert not can_hold(dtype, value)
        with pytest.raises(OverflowError):
            pack(dtype, [0, value])


@pytest.mark.parametrize("dtype", NUMBERS)
def test_no_datatype_holds_what_is_not_finite(dtype):
    assert not any(can_hold(dtype, value) for value in (math.nan, math.inf, -math.inf, 10**400))


def test_integers_hold_no_fractions():
    assert can_hold("INT8", 3.0)
    assert not can_hold("INT8", 3.5)


@given(st.lists(st.binary(max_size=6), max_size=6))
def test_elements_of_bytes_come_back(elements):
    assert [bytes(element) for element in unpack_bytes(pack_bytes(elements))] == elements


def test_an_element_that_reaches_past_the_end_is_an_error():
    with pytest.raises(ValueError, match="at byte 5, 2 bytes are missing"):
        list(unpack_bytes(pack_bytes([b"a", b"bc"])[:-2]))


@given(elements=st.lists(st.binary(max_size=3), max_size=4), count=st.integers(0, 5))
def test_elements_are_counted(elements, count):
    assert has_elements(memoryview(pack_bytes(elements)), count) == (len(elements) == count)


def test_elements_behind_one_too_many_are_not_looked_at():
    """A hundred million empty ones would keep the daemon from everything else for a long time."""
    damaged = pack_bytes([b"a", b"b"]) + b"\xff"

    assert not has_elements(damaged, 1)
    with pytest.raises(ValueError, match="missing"):
        has_elements(damaged, 2)
