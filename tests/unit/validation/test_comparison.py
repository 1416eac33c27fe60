"""The comparison that decides whether a model answers as it did."""

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.bundle.kit import Golden, Sample
from edged.bundle.manifest import Tolerance
from edged.errors import TensorError
from edged.pipeline.datatypes import pack, pack_bytes
from edged.pipeline.spec import Datatype
from edged.runtime.tensors import Tensor
from edged.validation.comparison import compare

numbers = st.floats(min_value=-1e6, max_value=1e6, width=32)


def sample(*data, dtype="FP32", shape=None):
    golden = Golden(name="y", dtype=dtype, shape=shape or (len(data),), data=data)
    return Sample(name="one", input="samples/one", golden=(golden,))


def compared(wanted, tensor, absolute=0.0):
    return compare(wanted, {"y": tensor}, [Tolerance(output="y", absolute=absolute)])


def given_as(dtype, *values, shape=None):
    data = pack_bytes(values) if dtype == "BYTES" else pack(dtype, values)
    return Tensor(name="y", dtype=dtype, shape=(len(values),) if shape is None else shape, data=data)


def floats(*values):
    return given_as("FP32", *values)


@given(st.lists(numbers, min_size=1, max_size=5))
def test_equal_values_pass_without_a_tolerance(values):
    assert compare(sample(*values), {"y": floats(*values)}, []) == []


@given(st.lists(numbers, min_size=1, max_size=5), st.integers(0, 4), st.floats(min_value=0.5, max_value=100))
def test_a_value_passes_exactly_within_its_tolerance(values, at, absolute):
    off = list(values)
    off[at % len(values)] += 1.0
    distance = abs(off[at % len(values)] - values[at % len(values)])

    assert bool(compared(sample(*values, dtype="FP64"), given_as("FP64", *off), absolute)) is (distance > absolute)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_never_passes(value):
    """Not even against the largest tolerance: a model that has begun to give NaN is broken."""
    assert len(compared(sample(1.0), floats(value), absolute=1e300)) == 1


def test_the_worst_element_is_named():
    (difference,) = compared(sample(1.0, 2.0, 3.0), floats(1.0, 2.5, 9.0), absolute=0.1)

    assert str(difference) == "sample one, output y: element 2 is 9, golden 3, tolerance 0.1"


def test_nan_is_worse_than_any_number():
    (difference,) = compared(sample(1.0, 2.0), floats(1e9, math.nan))

    assert difference.reason.startswith("element 1 is nan")


def test_an_output_that_is_missing_or_has_another_shape_differs():
    assert [d.reason for d in compare(sample(1.0), {}, [])] == ["is missing"]
    assert [d.reason for d in compared(sample(1.0, 2.0), floats(1.0))] == ["shape is [1], golden [2]"]


def test_texts_are_compared_for_equality_whatever_the_tolerance():
    texts = given_as("BYTES", b"pdf", "ü".encode())

    assert compared(sample("pdf", "ü", dtype="BYTES"), texts, absolute=9.0) == []
    (difference,) = compared(sample("pdf", "u", dtype="BYTES"), texts, absolute=9.0)
    assert difference.reason == "is 'ü', golden 'u'"


def test_every_output_is_reported():
    golden = tuple(Golden(name=name, dtype="FP32", shape=(1,), data=(1.0,)) for name in ("a", "b", "c"))
    wanted = Sample(name="one", input="samples/one", golden=golden)

    differences = compare(wanted, {"a": floats(1.0), "b": floats(2.0), "c": floats(3.0)}, [])

    assert [difference.output for difference in differences] == ["b", "c"]


@given(
    data=st.lists(st.booleans() | st.integers() | st.floats() | st.text(max_size=3), max_size=3),
    golden_dtype=st.sampled_from(get_args(Datatype)),
    dtype=st.sampled_from(get_args(Datatype)),
    golden_shape=st.lists(st.integers(0, 3), max_size=2),
    shape=st.lists(st.integers(0, 3), max_size=2),
    raw=st.binary(max_size=24),
)
def test_whatever_tensors_come_there_is_an_answer(data, golden_dtype, dtype, golden_shape, shape, raw):
    golden = Golden(name="y", dtype=golden_dtype, shape=tuple(golden_shape), data=tuple(data))
    tensor = Tensor(name="y", dtype=dtype, shape=tuple(shape), data=raw)
    try:
        differences = compared(Sample(name="one", input="samples/one", golden=(golden,)), tensor)
    except TensorError:
        return

    assert len(differences) <= 1


def test_a_tensor_of_another_datatype_differs():
    assert [d.reason for d in compared(sample("1", dtype="BYTES"), floats(1.0))] == ["is FP32, golden BYTES"]
    assert [d.reason for d in compared(sample(1.0), given_as("BYTES", b"1"))] == ["is BYTES, golden FP32"]
    assert [d.reason for d in compared(sample(1.0), given_as("INT32", 1))] == ["is INT32, golden FP32"]


def test_large_integers_are_told_apart():
    """Floats would make them equal."""
    wanted = sample(2**53, dtype="INT64")

    assert compared(wanted, given_as("INT64", 2**53)) == []
    (difference,) = compared(wanted, given_as("INT64", 2**53 + 1))
    assert difference.reason == "element 0 is 9007199254740993, golden 9007199254740992, tolerance 0"


def test_integers_may_be_off_by_their_tolerance():
    wanted = sample(100, 7.0, dtype="UINT8")

    assert compared(wanted, given_as("UINT8", 98, 7), absolute=2) == []
    (difference,) = compared(wanted, given_as("UINT8", 98, 10), absolute=2)
    assert difference.reason == "element 1 is 10, golden 7, tolerance 2"


def test_bools_are_compared():
    yes, no = True, False

    assert compared(sample(yes, 0, dtype="BOOL"), given_as("BOOL", yes, no)) == []
    (difference,) = compared(sample(yes, dtype="BOOL"), given_as("BOOL", no))
    assert difference.reason == "element 0 is 0, golden 1, tolerance 0"
