"""Which requests are the same question."""

from dataclasses import replace

import pytest

from edged.daemon.cache.keys import key_of
from edged.runtime.tensors import Tensor
from tests.fakes.requests import FAR_S, request_of, rows_of

ASKED = request_of(b"ab")


def key(request=ASKED, *, digest="d", variant="v", uid=1000):
    return key_of(request, digest=digest, variant=variant, uid=uid)


def test_the_same_question_has_the_same_key_whenever_and_however_it_is_asked():
    later = replace(request_of(b"ab"), deadline_s=FAR_S + 1, priority=3)

    assert key(later) == key()


@pytest.mark.parametrize(
    "other",
    [
        {"digest": "e"},
        {"variant": "w"},
        {"uid": 1001},
        {"uid": None},
        {"request": replace(ASKED, scale=0.5)},
        {"request": replace(ASKED, outputs=("y",))},
        {"request": request_of(b"ac")},
        {"request": replace(ASKED, inputs=(rows_of(b"a", b"b", name="y"),))},
        {"request": replace(ASKED, inputs=(Tensor(name="x", dtype="INT8", shape=(2, 1), data=b"ab"),))},
        {"request": replace(ASKED, inputs=(Tensor(name="x", dtype="UINT8", shape=(1, 2), data=b"ab"),))},
        {"request": replace(ASKED, inputs=(*ASKED.inputs, rows_of(b"c", name="z")))},
    ],
    ids=["bundle", "variant", "user", "anybody", "scale", "outputs", "bytes", "name", "datatype", "shape", "number"],
)
def test_anything_that_may_change_the_answer_changes_the_key(other):
    assert key(**other) != key()


def test_bytes_belong_to_their_tensor():
    def texts(*parts):
        return tuple(
            Tensor(name=name, dtype="BYTES", shape=(1,), data=part) for name, part in zip("xy", parts, strict=True)
        )

    assert key(replace(ASKED, inputs=texts(b"abc", b"d"))) != key(replace(ASKED, inputs=texts(b"ab", b"cd")))
