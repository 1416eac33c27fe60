"""The list of suspects: what it remembers, for how long, and how much."""

import pytest

from edged.daemon.serving.poison import MOST_SUSPECTS, PoisonList, digest_of
from edged.errors import PoisonError
from edged.runtime.calls import Request
from edged.runtime.tensors import Tensor
from tests.fakes.requests import FAR_S, request_of

REST_S = 600.0


@pytest.fixture
def poison():
    return PoisonList(rest_s=REST_S)


def tensor(data: bytes, *, name="x", dtype="UINT8", shape=None) -> Tensor:
    return Tensor(name=name, dtype=dtype, shape=shape or (len(data),), data=data)


def request(*inputs: Tensor, outputs=()) -> Request:
    return Request(inputs=inputs, outputs=outputs, deadline_s=FAR_S)


@pytest.mark.parametrize(
    "other",
    [
        request(tensor(b"abce")),
        request(tensor(b"abcd", name="y")),
        request(tensor(b"abcd", dtype="INT8")),
        request(tensor(b"abcd", shape=(2, 2))),
        request(tensor(b"ab"), tensor(b"cd")),
        request(tensor(b"abcd"), outputs=("z",)),
    ],
    ids=["bytes", "name", "datatype", "shape", "tensors", "outputs"],
)
def test_digest_is_of_everything_that_is_asked(other):
    asked = request(tensor(b"abcd"))

    assert digest_of(asked) == digest_of(request(tensor(b"abcd")))
    assert digest_of(asked) != digest_of(other)


def test_who_asks_and_when_is_not_part_of_the_digest():
    """A caller that tries again has another deadline, and another caller may send the same."""
    assert digest_of(request_of(b"a", uid=1, deadline_s=5.0)) == digest_of(request_of(b"a", uid=2, priority=1))


def test_bytes_in_shared_memory_are_the_same_as_bytes_sent():
    data = memoryview(bytearray(b"..abcd.."))[2:6]

    assert digest_of(request(tensor(data, shape=(4,)))) == digest_of(request(tensor(b"abcd")))


def test_nobody_is_suspected_in_the_beginning(poison):
    assert not poison
    assert poison.judge(request_of(), now_s=0.0) is False


def test_first_end_makes_a_suspect_and_the_second_makes_poison(poison):
    asked = request_of(b"k")

    assert poison.blame(asked, death=1, now_s=0.0) == ""
    assert poison.judge(asked, now_s=1.0) is True
    assert poison.blame(asked, death=2, now_s=10.0) == digest_of(asked)
    with pytest.raises(PoisonError) as caught:
        poison.judge(asked, now_s=10.5)
    assert caught.value.facts == {"digest": digest_of(asked)[:16], "rest_s": 600}


def test_request_that_only_looks_like_a_suspect_is_none(poison):
    """A glance is at the ends and the middle; what differs elsewhere is found by the digest."""
    suspect, other = bytearray(4096), bytearray(4096)
    other[1000] = 1
    poison.blame(request(tensor(bytes(suspect))), death=1, now_s=0.0)

    assert poison.judge(request(tensor(bytes(suspect))), now_s=0.0)
    assert not poison.judge(request(tensor(bytes(other))), now_s=0.0)


@pytest.mark.parametrize("at", [0, 2048, 4095])
def test_request_that_differs_where_one_looks_is_not_hashed(poison, at, monkeypatch):
    """A camera's next frame must not cost a hash of megabytes because one request once ended a worker."""
    data = bytearray(4096)
    poison.blame(request(tensor(bytes(data))), death=1, now_s=0.0)
    data[at] = 1
    monkeypatch.setattr("edged.daemon.serving.poison.digest_of", None)

    assert not poison.judge(request(tensor(bytes(data))), now_s=0.0)


def test_suspicion_rests_and_is_forgotten(poison):
    poison.blame(request_of(b"a"), death=1, now_s=0.0)
    poison.blame(request_of(b"b"), death=2, now_s=100.0)

    assert poison.judge(request_of(b"a"), now_s=REST_S - 1)
    assert not poison.judge(request_of(b"a"), now_s=REST_S)
    assert poison.judge(request_of(b"b"), now_s=REST_S)
    assert not poison.judge(request_of(b"b"), now_s=REST_S + 100)
    assert not poison


def test_acquitted_request_begins_anew(poison):
    asked = request_of(b"a")
    poison.blame(asked, death=1, now_s=0.0)
    poison.acquit(asked)

    assert not poison
    assert poison.blame(asked, death=2, now_s=1.0) == ""


def test_list_is_bounded_and_forgets_the_oldest_first(poison):
    requests = [request(tensor(i.to_bytes(4, "big"))) for i in range(MOST_SUSPECTS + 1)]
    for i, asked in enumerate(requests):
        poison.blame(asked, death=i, now_s=float(i))

    assert len(poison) == MOST_SUSPECTS
    assert not poison.knows(requests[0])
    assert all(poison.knows(asked) for asked in requests[1:])
    assert len(poison._glances) == MOST_SUSPECTS
