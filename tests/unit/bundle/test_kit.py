"""The comparison that decides whether a model answers as it did."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.bundle.kit import Golden, Sample, compare, mistake
from edged.bundle.manifest import Tolerance
from edged.pipeline.spec import Datatype

numbers = st.floats(min_value=-1e6, max_value=1e6, width=32)


def sample(*data, dtype="FP32", shape=None):
    golden = Golden(name="y", dtype=dtype, shape=shape or (len(data),), data=data)
    return Sample(name="one", input="samples/one", golden=(golden,))


def compared(wanted, array, absolute=0.0):
    return compare(wanted, {"y": array}, [Tolerance(output="y", absolute=absolute)])


def floats(*values):
    return np.array(values, dtype=np.float32)


@given(st.lists(numbers, min_size=1, max_size=5))
def test_equal_values_pass_without_a_tolerance(values):
    assert compare(sample(*values), {"y": floats(*values)}, []) == []


@given(st.lists(numbers, min_size=1, max_size=5), st.integers(0, 4), st.floats(min_value=0.5, max_value=100))
def test_a_value_passes_exactly_within_its_tolerance(values, at, absolute):
    off = np.array(values, dtype=np.float64)
    off[at % len(values)] += 1.0

    assert bool(compared(sample(*values), off, absolute)) is bool(abs(off - values).max() > absolute)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_never_passes(value):
    """Not even against the largest tolerance: a model that has begun to give NaN is broken."""
    assert len(compared(sample(1.0), floats(value), absolute=1e300)) == 1


def test_the_worst_element_is_named():
    (difference,) = compared(sample(1.0, 2.0, 3.0), floats(1.0, 2.5, 9.0), absolute=0.1)

    assert str(difference) == "sample one, output y: element 2 is 9, golden 3, tolerance 0.1"


def test_nan_is_worse_than_any_number():
    (difference,) = compared(sample(1.0, 2.0), floats(1e9, np.nan))

    assert difference.reason.startswith("element 1 is nan")


def test_an_output_that_is_missing_or_has_another_shape_differs():
    assert [d.reason for d in compare(sample(1.0), {}, [])] == ["is missing"]
    assert [d.reason for d in compared(sample(1.0, 2.0), floats(1.0))] == ["shape is [1], golden [2]"]


def test_texts_are_compared_for_equality_whatever_the_tolerance():
    texts = np.empty(2, dtype=object)
    texts[:] = [b"pdf", "ü".encode()]

    assert compared(sample("pdf", "ü", dtype="BYTES"), texts, absolute=9.0) == []
    (difference,) = compared(sample("pdf", "u", dtype="BYTES"), texts, absolute=9.0)
    assert difference.reason == "is 'ü', golden 'u'"


def test_every_output_is_reported():
    golden = tuple(Golden(name=name, dtype="FP32", shape=(1,), data=(1.0,)) for name in ("a", "b", "c"))
    wanted = Sample(name="one", input="samples/one", golden=golden)

    differences = compare(wanted, {"a": floats(1.0), "b": floats(2.0), "c": floats(3.0)}, [])

    assert [difference.output for difference in differences] == ["b", "c"]


@pytest.mark.parametrize(
    ("golden", "dtype", "reason"),
    [
        (sample(1, dtype="INT32"), "FP32", "is INT32, the pipeline gives FP32"),
        (sample(shape=(1,)), "FP32", "has 0 values for shape [1]"),
        (sample(1.0, 2.0, shape=(1,)), "FP32", "has 2 values for shape [1]"),
        (sample("1"), "FP32", "has values that are no FP32"),
        (sample(1, dtype="BYTES"), "BYTES", "has values that are no BYTES"),
        (sample(10**400, dtype="FP64"), "FP64", "has numbers that no FP64 can hold"),
        (sample(1e39), "FP32", "has numbers that no FP32 can hold"),
        (sample(256, dtype="UINT8"), "UINT8", "has numbers that no UINT8 can hold"),
        (sample(0.5, dtype="INT64"), "INT64", "has numbers that no INT64 can hold"),
        (sample(2, dtype="BOOL"), "BOOL", "has numbers that no BOOL can hold"),
        (sample(255, 3.0, dtype="UINT8"), "UINT8", ""),
        (sample("x", dtype="BYTES"), "BYTES", ""),
    ],
)
def test_golden_data_are_a_tensor_of_the_pipelines_output_or_a_mistake(golden, dtype, reason):
    assert mistake(golden.golden[0], dtype) == reason


@given(
    data=st.lists(st.booleans() | st.integers() | st.floats() | st.text(max_size=3), max_size=3),
    dtype=st.sampled_from(get_args(Datatype)),
    shape=st.lists(st.integers(0, 3), max_size=2),
    array=hnp.arrays(
        st.sampled_from([np.dtype(kind) for kind in ("?", "u8", "i4", "f2", "f8", "c8", "S2", "U2", "M8[s]")]),
        hnp.array_shapes(min_dims=0, max_side=3, min_side=0),
        fill=st.nothing(),
    )
    | st.lists(st.binary(max_size=2) | st.none(), max_size=3).map(lambda items: np.array(items, dtype=object)),
)
def test_whatever_arrays_come_there_is_an_answer(data, dtype, shape, array):
    golden = Golden(name="y", dtype=dtype, shape=tuple(shape), data=tuple(data))

    assert len(compared(Sample(name="one", input="samples/one", golden=(golden,)), array)) <= 1


def test_an_array_of_another_kind_differs():
    assert [d.reason for d in compared(sample("1", dtype="BYTES"), floats(1.0))] == ["is float32, golden BYTES"]
    assert [d.reason for d in compared(sample(1.0), np.array([b"1"], dtype=object))] == ["is object, golden FP32"]


def test_large_integers_are_told_apart():
    """float64 would make them equal."""
    wanted = sample(2**53, dtype="INT64")

    assert compared(wanted, np.array([2**53])) == []
    (difference,) = compared(wanted, np.array([2**53 + 1]))
    assert difference.reason == "element 0 is 9007199254740993, golden 9007199254740992, tolerance 0"
