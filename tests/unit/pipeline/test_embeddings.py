"""Vectors of texts: the mean of those that count, and their direction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.errors import TensorError
from edged.pipeline.steps import L2Normalize, MeanPool
from edged.pipeline.steps.base import MisfitError
from tests.fakes.steps import floats, run_step, spec

POOL = MeanPool(input="tokens", mask="mask", output="text")
numbers = st.floats(-1e6, 1e6, width=32)


def pooled(tokens, mask):
    return run_step(POOL, {"tokens": tokens, "mask": np.asarray(mask, dtype=np.int64)})["text"]


def normalized(vectors):
    return run_step(L2Normalize(input="x", output="y"), {"x": vectors})["y"]


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=numbers), st.data())
def test_the_mean_is_that_of_the_vectors_that_count(tokens, data):
    mask = data.draw(hnp.arrays(np.int64, tokens.shape[:2], elements=st.integers(0, 1)))

    text = pooled(tokens, mask)

    for mean, row, counts in zip(text, tokens.astype(np.float64), mask, strict=True):
        wanted = row[counts == 1].mean(axis=0) if counts.any() else np.zeros(row.shape[1])
        np.testing.assert_allclose(mean, wanted, rtol=1e-6, atol=1e-6)


@given(hnp.arrays(np.float32, (1, 4, 3), elements=numbers), st.floats(width=32))
def test_what_does_not_count_has_no_influence(tokens, value):
    """Whatever a model gives for the filling, NaN included."""
    other = tokens.copy()
    other[0, 2:] = value

    assert pooled(tokens, [[1, 1, 0, 0]]).tolist() == pooled(other, [[1, 1, 0, 0]]).tolist()


@pytest.mark.parametrize("mask", [[[1, 2]], [[-1, 0]]])
def test_a_mask_of_anything_else_is_refused(mask):
    with pytest.raises(TensorError, match="mean_pool@1: an element of mask is neither 0 nor 1"):
        pooled(np.zeros((1, 2, 3), np.float32), mask)


@pytest.mark.parametrize(
    ("tokens", "mask", "key"),
    [
        (spec("tokens", 1, 8), spec("mask", 1, 8, dtype="INT64"), "input"),
        (spec("tokens", 1, 8, 4, dtype="FP16"), spec("mask", 1, 8, dtype="INT64"), "input"),
        (spec("tokens", 1, 8, 4), spec("mask", 1, 8), "mask"),
        (spec("tokens", 1, 8, 4), spec("mask", 8, dtype="INT64"), "mask"),
        (spec("tokens", 1, 8, 4), spec("mask", 1, 9, dtype="INT64"), "mask"),
        (spec("tokens", 2, 8, 4), spec("mask", 1, 8, dtype="INT64"), "mask"),
    ],
)
def test_vectors_and_masks_that_do_not_go_together_are_refused(tokens, mask, key):
    with pytest.raises(MisfitError, match=rf"^{key}: "):
        POOL.gives({"tokens": tokens, "mask": mask})


def test_what_one_type_leaves_open_the_other_may_say():
    (text,) = POOL.gives({"tokens": spec("tokens", -1, -1, 384), "mask": spec("mask", 1, 128, dtype="INT64")})

    assert str(text) == "FP32 [1, 384]"


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=1, max_dims=3, max_side=6),
        elements=st.floats(-(2.0**100), 2.0**100, width=32),
    )
)
def test_a_direction_has_length_one_or_is_none(vectors):
    """Neither the largest nor the smallest numbers go over or under on the way."""
    lengths = np.sqrt(np.square(normalized(vectors).astype(np.float64)).sum(axis=-1))

    np.testing.assert_allclose(lengths, (vectors != 0).any(axis=-1), atol=1e-6)


@given(hnp.arrays(np.float32, (2, 3), elements=st.integers(-50, 50).map(float)), st.integers(-20, 20))
def test_the_length_of_a_vector_does_not_matter(vectors, exponent):
    np.testing.assert_allclose(normalized(vectors * np.float32(2.0**exponent)), normalized(vectors), rtol=1e-6)


def test_what_has_no_axis_has_no_direction():
    with pytest.raises(MisfitError, match="at least one axis"):
        L2Normalize(input="x", output="y").gives({"x": spec("x")})
    assert normalized(floats()).shape == (0,)
