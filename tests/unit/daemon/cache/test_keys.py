"""Which requests are the same question."""

from dataclasses import replace

import pytest

from edged.daemon.cache.keys import Question
from edged.runtime.tensors import Tensor
from tests.fakes.requests import FAR_S, request_of, rows_of
from tests.fakes.workers import spec_of

ASKED = request_of(b"ab")
TAKES = (spec_of("f", "FP32", (-1, 4)),)


def question(request=ASKED, *, digest="d", uid=1000):
    return Question(request, digest=digest, uid=uid)


def keys(question):
    """Of its answer and of its features."""
    return question.result_key("v"), question.features_key(TAKES)


def test_the_same_question_has_the_same_keys_whenever_and_however_it_is_asked():
    later = replace(request_of(b"ab"), deadline_s=FAR_S + 1, priority=3)

    assert keys(question(later)) == keys(question())
    assert question().result_key("v") != question().features_key(TAKES)


@pytest.mark.parametrize(
    "other",
    [
        {"digest": "e"},
        {"uid": 1001},
        {"uid": None},
        {"request": replace(ASKED, scale=0.5)},
        {"request": request_of(b"ac")},
        {"request": replace(ASKED, inputs=(rows_of(b"a", b"b", name="y"),))},
        {"request": replace(ASKED, inputs=(Tensor(name="x", dtype="INT8", shape=(2, 1), data=b"ab"),))},
        {"request": replace(ASKED, inputs=(Tensor(name="x", dtype="UINT8", shape=(1, 2), data=b"ab"),))},
        {"request": replace(ASKED, inputs=(*ASKED.inputs, rows_of(b"c", name="z")))},
    ],
    ids=["bundle", "user", "anybody", "scale", "bytes", "name", "datatype", "shape", "number"],
)
def test_anything_that_may_change_what_is_made_of_a_question_changes_both_keys(other):
    result, features = keys(question(**other))

    assert result != keys(question())[0]
    assert features != keys(question())[1]


def test_variant_and_outputs_change_the_answer_and_not_the_features():
    of_some = question(replace(ASKED, outputs=("y",)))

    assert question().result_key("w") != question().result_key("v")
    assert of_some.result_key("v") != question().result_key("v")
    assert of_some.features_key(TAKES) == question().features_key(TAKES)


@pytest.mark.parametrize(
    "takes",
    [
        (spec_of("g", "FP32", (-1, 4)),),
        (spec_of("f", "FP16", (-1, 4)),),
        (spec_of("f", "FP32", (1, 4)),),
        (*TAKES, spec_of("g", "FP32", (1,))),
        (),
    ],
    ids=["name", "datatype", "shape", "more", "nothing"],
)
def test_features_for_a_variant_that_takes_something_else_are_others(takes):
    assert question().features_key(takes) != question().features_key(TAKES)


def test_bytes_belong_to_their_tensor():
    def texts(*parts):
        return tuple(
            Tensor(name=name, dtype="BYTES", shape=(1,), data=part) for name, part in zip("xy", parts, strict=True)
        )

    one, other = (question(replace(ASKED, inputs=texts(*parts))) for parts in ((b"abc", b"d"), (b"ab", b"cd")))
    assert set(keys(one)).isdisjoint(keys(other))
