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
from edged.pipeline.spec import Datatype, TensorSpec
from edged.runtime.tensors import Tensor
from edged.validation.comparison import Agreement, compare, mistake_in_tolerance, tolerances_of

numbers = st.floats(min_value=-1e6, max_value=1e6, width=32)


def sample(*data, dtype="FP32", shape=None):
    golden = Golden(name="y", dtype=dtype, shape=shape or (len(data),), data=data)
    return Sample(name="one", input="samples/one", golden=(golden,))


def compared(wanted, tensor, absolute=0.0):
    return within(wanted, tensor, absolute=absolute)


def within(wanted, tensor, **allowed):
    return compare(wanted, {"y": tensor}, {"y": Tolerance(output="y", **allowed)})


def given_as(dtype, *values, shape=None):
    data = pack_bytes(values) if dtype == "BYTES" else pack(dtype, values)
    return Tensor(name="y", dtype=dtype, shape=(len(values),) if shape is None else shape, data=data)


def floats(*values):
    return given_as("FP32", *values)


@given(st.lists(numbers, min_size=1, max_size=5))
def test_equal_values_pass_without_a_tolerance(values):
    assert compare(sample(*values), {"y": floats(*values)}, {}) == []


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

    assert str(difference) == "sample one, output y: element 2 is 9, golden 3, 6 apart, allowed is 0.1, the worst of 2"


def test_nan_is_worse_than_any_number():
    (difference,) = compared(sample(1.0, 2.0), floats(1e9, math.nan))

    assert difference.reason == "element 1 is nan, golden 2, allowed is no such number"


def test_an_output_that_is_missing_or_has_another_shape_differs():
    assert [d.reason for d in compare(sample(1.0), {}, {})] == ["is missing"]
    assert [d.reason for d in compared(sample(1.0, 2.0), floats(1.0))] == ["shape is [1], golden [2]"]


def test_texts_are_compared_for_equality():
    texts = given_as("BYTES", b"pdf", "ü".encode())

    assert compared(sample("pdf", "ü", dtype="BYTES"), texts, absolute=9.0) == []
    (difference,) = compared(sample("pdf", "u", dtype="BYTES"), texts, absolute=9.0)
    assert difference.reason == "element 1 is 'ü', golden 'u', allowed is no other"


def test_every_output_is_reported():
    golden = tuple(Golden(name=name, dtype="FP32", shape=(1,), data=(1.0,)) for name in ("a", "b", "c"))
    wanted = Sample(name="one", input="samples/one", golden=golden)

    differences = compare(wanted, {"a": floats(1.0), "b": floats(2.0), "c": floats(3.0)}, {})

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
    assert difference.reason == "element 0 is 9007199254740993, golden 9007199254740992, 1 apart, allowed is 0"


def test_integers_may_be_off_by_their_tolerance():
    wanted = sample(100, 7.0, dtype="UINT8")

    assert compared(wanted, given_as("UINT8", 98, 7), absolute=2) == []
    (difference,) = compared(wanted, given_as("UINT8", 98, 10), absolute=2)
    assert difference.reason == "element 1 is 10, golden 7, 3 apart, allowed is 2"


def test_bools_are_compared():
    yes, no = True, False

    assert compared(sample(yes, 0, dtype="BOOL"), given_as("BOOL", yes, no)) == []
    (difference,) = compared(sample(yes, dtype="BOOL"), given_as("BOOL", no))
    assert difference.reason == "element 0 is 0, golden 1, 1 apart, allowed is 0"


@pytest.mark.parametrize(
    ("golden", "got", "passes"),
    [
        (100.0, 101.5, True),
        (100.0, 101.625, False),
        (-100.0, -98.5, True),
        (0.0, 0.5, True),
        (0.0, 0.625, False),
    ],
)
def test_absolute_and_relative_tolerance_add_up(golden, got, passes):
    """Allowed is 0.5 + 0.01 * abs(golden)."""
    assert (within(sample(golden), floats(got), absolute=0.5, relative=0.01) == []) is passes


def test_what_is_allowed_relatively_is_said_as_a_sum():
    (difference,) = within(sample(1.0, 200.0, shape=(1, 2)), given_as("FP32", 1.0, 210.0, shape=(1, 2)), relative=0.01)

    assert difference.reason == "element [0, 1] is 210, golden 200, 10 apart, allowed is 0 + 0.01 * 200"


def test_the_element_furthest_beyond_what_is_allowed_for_it_is_named():
    """The one with the largest difference is nearer to what it may be."""
    (difference,) = within(sample(1.0, 1000.0), floats(2.0, 1010.5), relative=0.01)

    assert difference.reason.startswith("element 0 is 2, golden 1")


@pytest.mark.parametrize(
    ("golden", "got", "apart"), [(359.0, 1.0, 2.0), (1.0, 359.0, 2.0), (10.0, 190.0, 180.0), (5.0, 725.0, 0.0)]
)
def test_on_a_circle_differences_go_the_shorter_way_round(golden, got, apart):
    assert within(sample(golden), floats(got), period=360.0, absolute=apart) == []
    if apart:
        (difference,) = within(sample(golden), floats(got), period=360.0, absolute=apart - 0.5)
        assert f"{apart:g} apart on a circle of 360" in difference.reason


@pytest.mark.parametrize(
    ("golden", "got", "passes"),
    [
        ((1.0, 0.0), (5.0, 0.0), True),
        ((1.0, 0.0), (0.0, 1.0), False),
        ((0.0, 0.0), (0.0, 0.0), True),
        ((0.0, 0.0), (0.001, 0.0), False),
        ((1.0, 1.0), (0.0, 0.0), False),
        ((3.0, 4.0), (30.0, 40.0), True),
    ],
)
def test_cosine_asks_for_direction_only_and_zero_vectors_are_like_each_other_alone(golden, got, passes):
    assert (within(sample(*golden), floats(*got), cosine=0.99) == []) is passes


@pytest.mark.parametrize("factor", [1 / 7, 1.0, 1e300, 1e-300])
def test_vectors_in_one_direction_have_a_cosine_of_one_whatever_their_length_and_rounding(factor):
    """A seventh of this vector is at 0.9999999999999999 to it, as FP64 computes."""
    wanted = sample(0.1, 0.2, 0.3, dtype="FP64")

    assert within(wanted, given_as("FP64", *(factor * x for x in (0.1, 0.2, 0.3))), cosine=1.0) == []


def test_the_cosine_of_each_row_counts_and_the_lowest_is_named():
    wanted = sample(1.0, 0.0, 0.0, 1.0, shape=(2, 2))

    (difference,) = within(wanted, given_as("FP32", 1.0, 0.0, 1.0, 1.0, shape=(2, 2)), cosine=0.9)

    assert difference.reason == "row 1 is [1, 1], golden [0, 1], their cosine is 0.707107, allowed is no less than 0.9"


def test_everything_that_is_asked_for_has_to_hold():
    """The direction is right, the length is not."""
    assert within(sample(1.0, 2.0), floats(2.0, 4.0), cosine=0.99) == []
    assert len(within(sample(1.0, 2.0), floats(2.0, 4.0), cosine=0.99, absolute=0.5)) == 1


@pytest.mark.parametrize(("absolute", "cosine", "top_1"), [(1e9, None, None), (None, -1.0, None), (None, None, 0.01)])
def test_nan_passes_under_no_kind_of_tolerance(absolute, cosine, top_1):
    reasons = within(sample(1.0, 2.0), floats(math.nan, 2.0), absolute=absolute, cosine=cosine, top_1=top_1)

    assert [difference.reason for difference in reasons] == ["element 0 is nan, golden 1, allowed is no such number"]


@pytest.mark.parametrize(
    ("got", "least", "passes"),
    [
        (("dog", "cat"), 1.0, True),
        (("cat", "dog", "dog"), 1.0, True),
        (("cat",), 0.5, True),
        (("cat",), 0.6, False),
        (("cat", "dog", "cow"), 0.6, True),
        ((), 0.1, False),
    ],
)
def test_sets_of_labels_share_what_is_common_of_what_is_in_either(got, least, passes):
    """Neither order nor repetition counts, and so neither does the shape."""
    wanted = sample("cat", "dog", dtype="BYTES")

    assert (within(wanted, given_as("BYTES", *(label.encode() for label in got)), label_set=least) == []) is passes


def test_labels_that_are_missing_or_too_many_are_named():
    (difference,) = within(sample("cat", "dog", dtype="BYTES"), given_as("BYTES", b"cat", b"cow"), label_set=0.5)

    assert (
        difference.reason
        == "labels share 0.333 with the golden ones (too many are 'cow'; missing are 'dog'), allowed is no less than 0.5"
    )


def test_two_empty_sets_of_labels_are_alike():
    assert within(sample(dtype="BYTES", shape=(0,)), given_as("BYTES"), label_set=1.0) == []


def agreement(pairs, least):
    tally = Agreement({"y": Tolerance(output="y", top_1=least)})
    for golden, got in pairs:
        tally.add(sample(*golden), {} if got is None else {"y": floats(*got)})
    return tally.close()


def test_top_1_counts_rows_of_all_samples_together():
    same, other = ((1.0, 2.0), (0.0, 9.0)), ((1.0, 2.0), (2.0, 1.0))

    assert agreement([same] * 9 + [other], 0.9) == []
    (difference,) = agreement([same] * 8 + [other] * 2, 0.9)
    assert str(difference) == (
        "all samples, output y: top 1 agrees in 8 of 10 rows, which is 0.8; allowed is no less than 0.9; "
        "the first that does not: sample one, row 0: element 0, golden element 1"
    )


@given(rows=st.integers(1, 400), data=st.data())
def test_a_share_of_exactly_the_limit_passes(rows, data):
    """Whatever binary fractions make of it: 7 of 100 is no less than 0.07."""
    alike = data.draw(st.integers(1, rows))
    pairs = [((1.0, 2.0), (1.0, 2.0))] * alike + [((1.0, 2.0), (2.0, 1.0))] * (rows - alike)

    assert agreement(pairs, alike / rows) == []


@pytest.mark.parametrize("got", [None, (math.nan, 1.0), (1.0, 2.0, 3.0)])
def test_top_1_of_what_is_no_answer_disagrees(got):
    assert len(agreement([((1.0, 2.0), got)], 0.5)) == 1


def test_the_first_of_equal_elements_is_the_largest():
    assert agreement([((2.0, 2.0, 1.0), (5.0, 4.0, 5.0))], 1.0) == []


def test_top_1_alone_allows_a_sample_any_other_answer():
    assert within(sample(1.0, 2.0), floats(2.0, 1.0), top_1=0.9) == []


def test_a_variants_own_tolerance_takes_the_place_of_the_common_one():
    common = [Tolerance(output="a", absolute=1.0), Tolerance(output="b", absolute=1.0)]

    found = tolerances_of(common, [Tolerance(output="b", cosine=0.9)])

    assert found == {"a": common[0], "b": Tolerance(output="b", cosine=0.9)}


@pytest.mark.parametrize(
    ("allowed", "dtype", "shape", "reason"),
    [
        ({"absolute": 0.1}, "BYTES", (1,), "absolute is for numbers, the output is BYTES"),
        ({"cosine": 0.9}, "BYTES", (1,), "cosine is for numbers, the output is BYTES"),
        ({"label_set": 0.9}, "FP32", (1,), "label_set is for BYTES, the output is FP32"),
        ({"top_1": 0.9}, "FP32", (-1, 1), "top_1 is for rows of several elements, the output has one in a row"),
        ({"top_1": 0.9}, "FP32", (), "top_1 is for rows of several elements, the output has one in a row"),
        ({"top_1": 0.9, "cosine": 0.9, "absolute": 1.0, "period": 360.0}, "FP32", (1, -1), ""),
        ({"label_set": 0.9}, "BYTES", (-1,), ""),
        ({}, "BYTES", (-1,), ""),
    ],
)
def test_a_tolerance_that_says_nothing_about_an_output_is_a_mistake(allowed, dtype, shape, reason):
    spec = TensorSpec(name="y", dtype=dtype, shape=shape)

    assert mistake_in_tolerance(Tolerance(output="y", **allowed), spec) == reason
