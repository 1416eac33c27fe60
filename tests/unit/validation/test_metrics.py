"""Measures against the truth: their values on paper, and what cannot be measured."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import BundleError
from edged.pipeline.datatypes import pack, pack_bytes
from edged.runtime.tensors import Tensor
from edged.validation.metrics import Tally, distances, measure

floats = st.floats(min_value=-1e4, max_value=1e4, width=32)


def tensor(*values, dtype="FP32", shape=None):
    data = pack_bytes(v.encode() for v in values) if dtype == "BYTES" else pack(dtype, values)
    return Tensor(name="y", dtype=dtype, shape=shape or (len(values),), data=data)


def test_errors_are_over_all_elements_of_all_samples():
    pairs = [(tensor(1.0, 2.0, 3.0), (1.0, 2.0, 6.0)), (tensor(5.0), (6.0,))]

    assert measure("mean_absolute_error", pairs) == 1.0
    assert measure("root_mean_square_error", pairs) == math.sqrt(2.5)


@given(st.lists(st.tuples(floats, floats), min_size=1, max_size=20))
def test_errors_are_what_numpy_computes(values):
    got, truth = np.array(values).T

    pairs = [(tensor(*got, dtype="FP64"), tuple(truth.tolist()))]

    assert measure("mean_absolute_error", pairs) == pytest.approx(np.abs(got - truth).mean())
    assert measure("root_mean_square_error", pairs) == pytest.approx(np.sqrt(((got - truth) ** 2).mean()))


@given(st.lists(st.tuples(floats, floats), min_size=1, max_size=20), st.integers(-3, 3))
def test_on_a_circle_full_turns_make_no_difference_and_nothing_is_further_than_half_a_turn(values, turns):
    got, truth = zip(*values, strict=True)

    near = distances(got, truth, 360.0)

    assert distances([value + 360.0 * turns for value in got], truth, 360.0) == pytest.approx(near, abs=1e-6)
    assert all(0 <= distance <= 180 for distance in near)


def test_a_seam_is_no_error():
    assert measure("mean_absolute_error", [(tensor(359.0), (1.0,))], period=360.0) == 2.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("metric", ["mean_absolute_error", "root_mean_square_error"])
@pytest.mark.parametrize("period", [None, 360.0])
def test_an_answer_that_is_no_number_makes_the_error_infinite(metric, value, period):
    """It must never be lost in a mean, nor make one that compares as if the limit were kept."""
    assert measure(metric, [(tensor(value), (1.0,)), (tensor(1.0), (1.0,))], period=period) == math.inf


def test_large_integers_have_exact_errors():
    assert measure("mean_absolute_error", [(tensor(2**53 + 1, dtype="INT64"), (2**53,))]) == 1.0


def test_the_best_score_of_each_row_is_held_against_the_number_of_the_class():
    rows = tensor(0.1, 0.9, 0.8, 0.2, shape=(2, 2))

    assert measure("top_1_accuracy", [(rows, (1, 1))]) == 0.5
    assert measure("top_1_accuracy", [(rows, (0.0, 1.0, 0.0, 1.0))]) == 0.5
    assert measure("top_1_accuracy", [(tensor(math.nan, 1.0), (1,))]) == 0.0


def test_class_numbers_and_labels_are_compared_and_the_first_of_several_counts():
    assert measure("top_1_accuracy", [(tensor(3, 1, dtype="INT64", shape=(1, 2)), (3,))]) == 1.0
    labels = tensor("cat", "dog", "cow", "pig", dtype="BYTES", shape=(2, 2))
    assert measure("label_accuracy", [(labels, ("cat", "pig"))]) == 0.5
    assert measure("label_accuracy", [(labels, ("cat", "dog", "cow", "hen"))]) == 0.75


def test_no_label_is_a_wrong_one():
    assert measure("label_accuracy", [(tensor(dtype="BYTES", shape=(0,)), ("cat",))]) == 0.0


@pytest.mark.parametrize(
    ("metric", "answer", "truth", "reason"),
    [
        ("mean_absolute_error", tensor(1.0, 2.0), (1.0,), "y has 2 values, the truth 1"),
        ("mean_absolute_error", tensor("1", dtype="BYTES"), ("1",), "is of numbers, y is BYTES"),
        ("mean_absolute_error", tensor(1.0), ("1",), "the truth of y is text, the answer FP32"),
        ("top_1_accuracy", tensor(1.0), (0,), "needs a last axis of several classes"),
        ("top_1_accuracy", tensor(1.0, 2.0), (0, 1, 2), "has 2 scores in 1 rows, the truth 3 values"),
        ("label_accuracy", tensor(1.0), (1.0,), "is of labels or their numbers, y is FP32"),
        ("label_accuracy", tensor("a", "b", dtype="BYTES"), ("a", "b", "c"), "do not belong to 3 of the truth alike"),
    ],
)
def test_what_cannot_be_measured_says_why(metric, answer, truth, reason):
    with pytest.raises(BundleError, match=reason):
        measure(metric, [(answer, truth)])


def test_nothing_to_measure_is_no_measure():
    with pytest.raises(BundleError, match="at least one answer"):
        _ = Tally("mean_absolute_error").value
