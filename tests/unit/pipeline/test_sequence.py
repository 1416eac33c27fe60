"""Text from rows of scores, against a reading of it one moment at a time."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.errors import BundleError, TensorError
from edged.pipeline.steps import CtcDecode
from edged.pipeline.steps.base import MisfitError
from tests.fakes.steps import run_step, spec

SYMBOLS = ["", "a", "b", " "]
FILES = {"alphabet.txt": "\n".join(SYMBOLS).encode() + b"\n"}
moments = hnp.arrays(
    np.float32, st.tuples(st.integers(0, 12), st.just(len(SYMBOLS))), elements=st.integers(1, 6).map(float)
)


def decode(scores, files=FILES, /, **keys):
    step = CtcDecode(**{"input": "x", "output": "text", "file": "alphabet.txt", "confidence": "sure", **keys})
    return run_step(step, {"x": np.asarray(scores, dtype=np.float32)}, files)


def read_slowly(rows, blank):
    """The description: what each moment stands for, runs of the same, without blanks; with the probabilities of each run."""
    classes = [max(range(len(row)), key=lambda i, row=row: (row[i], -i)) for row in rows]
    runs = [[*run] for _, run in itertools.groupby(range(len(rows)), key=classes.__getitem__)]
    kept = [run for run in runs if classes[run[0]] != blank]
    return "".join(SYMBOLS[classes[run[0]]] for run in kept), [[(t, classes[t]) for t in run] for run in kept]


@given(scores=moments, blank=st.integers(0, 3), of=st.sampled_from(["mean", "min"]), has_lead=st.booleans())
def test_the_text_is_what_reading_slowly_gives(scores, blank, of, has_lead):
    shares = scores / scores.sum(axis=-1, keepdims=True)

    known = decode(shares[np.newaxis] if has_lead else shares, blank=blank, of=of)

    text, runs = read_slowly(shares.tolist(), blank)
    assert known["text"].tolist() == [text.encode()]
    certain = [max(float(shares[place]) for place in run) for run in runs] or [0.0]
    assert known["sure"].tolist() == pytest.approx([min(certain) if of == "min" else math.fsum(certain) / len(certain)])


@given(scores=moments, of=st.sampled_from(["mean", "min"]))
def test_logits_and_logarithms_stand_for_their_probabilities(scores, of):
    powers = np.exp(scores.astype(np.float64))
    shares = powers / powers.sum(axis=-1, keepdims=True)

    wanted = decode(shares, of=of)
    for other in (decode(scores, scores="logits", of=of), decode(np.log(shares), scores="log_probabilities", of=of)):
        assert other["text"].tolist() == wanted["text"].tolist()
        np.testing.assert_allclose(other["sure"], wanted["sure"], rtol=1e-5)


@given(scores=moments)
def test_a_moment_said_twice_changes_nothing(scores):
    twice = np.repeat(scores, 2, axis=0)

    assert decode(twice)["text"].tolist() == decode(scores)["text"].tolist()


def test_a_blank_between_two_that_are_equal_keeps_them_apart():
    a, blank = np.eye(4)[1], np.eye(4)[0]

    assert decode([a, a, blank, a])["text"].tolist() == [b"aa"]
    assert decode([a, a, a])["text"].tolist() == [b"a"]


def test_a_symbol_that_is_not_a_number_makes_no_confidence():
    """Minus infinity for the choice of the class, and no excuse for the probability."""
    scores = np.full((1, 4), np.nan)

    assert decode(scores, blank=3)["text"].tolist() == [b""]
    assert np.isnan(decode(scores, blank=3)["sure"]).all()


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"alphabet.txt": b"-\na\n"}, r"alphabet\.txt has 2 lines, x has 4 classes"),
        ({"alphabet.txt": b"-\na\nb\nc\nd\n"}, r"alphabet\.txt has 5 lines"),
        ({"alphabet.txt": b"-\na\nb\n" + b"c" * 65 + b"\n"}, r"line 4 of alphabet\.txt has more than 64 bytes"),
        ({"alphabet.txt": b"-\na\xff\nb\nc\n"}, "not UTF-8"),
        ({}, "not handed over"),
    ],
)
def test_an_alphabet_that_does_not_fit_the_model_is_the_publishers_fault(files, match):
    with pytest.raises(BundleError, match=match):
        decode(np.eye(4), files)


def test_a_blank_without_a_line_is_found_before_any_request():
    with pytest.raises(BundleError, match="none for the blank, which is class 9"):
        decode(np.eye(4), blank=9)


@pytest.mark.parametrize(
    ("given_type", "key"),
    [
        (spec("x", 7), "input"),
        (spec("x", 2, 7, 4), "input"),
        (spec("x", 7, 4, dtype="FP64"), "input"),
        (spec("x", 7, 2), "blank"),
    ],
)
def test_other_types_are_refused(given_type, key):
    with pytest.raises(MisfitError, match=rf"^{key}: "):
        CtcDecode(input="x", output="text", file="f", blank=2).gives({"x": given_type})


def test_several_texts_at_once_are_refused():
    with pytest.raises(TensorError, match=r"ctc_decode@1.*x, which is FP32 \[2, 3, 4\]"):
        decode(np.zeros((2, 3, 4)))
