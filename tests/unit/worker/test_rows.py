"""Inputs that are joined and outputs that are cut apart are the same rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import BundleError
from edged.worker.rows import group, join, rows_of, split


def feed(rows, width=2, *, start=0):
    return {"x": np.arange(start, start + rows * width, dtype=np.float32).reshape(rows, width)}


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_what_is_joined_can_be_cut_apart_again(counts):
    feeds = [feed(rows, start=100 * i) for i, rows in enumerate(counts)]

    parts = split(join(feeds), [rows_of(item) for item in feeds])

    for part, item in zip(parts, feeds, strict=True):
        np.testing.assert_array_equal(part["x"], item["x"])


def test_inputs_that_differ_in_more_than_rows_are_not_joined():
    feeds = {0: feed(1, 2), 2: feed(3, 4), 3: feed(2, 2), 5: feed(1, 4)}

    assert group(feeds) == [[0, 3], [2, 5]]


def test_inputs_without_a_common_number_of_rows_stay_alone():
    one_for_all = {"x": np.zeros((3, 2), np.float32), "scale": np.zeros((1, 1), np.float32)}

    assert group({0: one_for_all, 1: one_for_all}) == [[0], [1]]


def test_the_order_of_names_does_not_matter():
    x, y = np.zeros((1, 2), np.float32), np.zeros((1, 3), np.float32)

    assert group({0: {"x": x, "y": y}, 1: {"y": y, "x": x}}) == [[0, 1]]


def test_texts_are_joined_as_they_are():
    texts = np.empty(2, dtype=object)
    texts[:] = [b"a\0", b""]

    assert join([{"t": texts}, {"t": texts}])["t"].tolist() == [b"a\0", b"", b"a\0", b""]


@pytest.mark.parametrize("shape", [(2,), (4,), (1, 3), ()])
def test_outputs_that_do_not_have_all_rows_are_the_publishers_fault(shape):
    with pytest.raises(BundleError, match="for 3 rows") as caught:
        split({"y": np.zeros(shape, np.float32)}, [1, 2])
    assert "Remove batching" in caught.value.hint
