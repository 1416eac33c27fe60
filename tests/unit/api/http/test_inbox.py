"""Bytes in any pieces, cut into the same heads and bodies."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.api.http.head import MAX_HEAD_BYTES, HeadRefusedError
from edged.api.http.inbox import SCRATCH_BYTES, Inbox

HEADS = st.binary(max_size=12).map(lambda rest: b"GET" + rest.replace(b"\r", b"_").replace(b"\n", b"_"))
MESSAGES = st.lists(st.tuples(st.sampled_from([b"", b"\r\n", b"\n\r\n"]), HEADS, st.binary(max_size=20)), max_size=4)


@pytest.fixture
def scratch():
    return bytearray(SCRATCH_BYTES)


@pytest.fixture
def inbox(scratch):
    return Inbox(scratch)


def receive(inbox, scratch, data):
    scratch[: len(data)] = data
    inbox.received(len(data))


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 200), max_size=8))
def test_however_it_is_cut_the_same_comes_out(messages, cuts):
    """Between two pieces, other connections write to the scratch memory."""
    scratch = bytearray(SCRATCH_BYTES)
    inbox = Inbox(scratch)
    found: list[bytes] = []
    for piece in pieces_of(b"".join(blank + head + b"\r\n\r\n" + body for blank, head, body in messages), cuts):
        receive(inbox, scratch, piece)
        while inbox:
            is_head = len(found) % 2 == 0
            part = inbox.take_head() if is_head else inbox.take_whole(len(messages[len(found) // 2][2]))
            if part is None:
                break
            found.append(part)
            if is_head and not messages[len(found) // 2][2]:
                found.append(b"")
        inbox.keep()
        scratch[:200] = b"\xee" * 200

    assert found == [part for _, head, body in messages for part in (head, body)]
    assert not inbox


def test_parts_go_into_other_memory_as_they_come(inbox, scratch):
    room = memoryview(bytearray(5))
    receive(inbox, scratch, b"abc")
    assert inbox.take_into(room) == 3
    receive(inbox, scratch, b"defg")
    assert inbox.take_into(room[3:]) == 2

    assert (bytes(room), len(inbox), inbox.take(10)) == (b"abcde", 2, b"fg")


def test_what_is_dropped_is_gone(inbox, scratch):
    receive(inbox, scratch, b"abc")
    inbox.drop()
    inbox.keep()
    receive(inbox, scratch, b"de")

    assert inbox.take(10) == b"de"


def test_a_head_has_a_longest_size_whether_its_end_is_there_or_not(inbox, scratch):
    receive(inbox, scratch, b"A" * MAX_HEAD_BYTES + b"\r\n\r")
    assert inbox.take_head() is None
    inbox.keep()
    receive(inbox, scratch, b"\n")
    assert inbox.take_head() == b"A" * MAX_HEAD_BYTES
    receive(inbox, scratch, b"A" * (MAX_HEAD_BYTES + 4))
    with pytest.raises(HeadRefusedError) as caught:
        inbox.take_head()

    assert caught.value.problem.status == 431


@pytest.mark.parametrize("start", [b"\x16\x03\x01", b"{", b"7", b"\xe4", b"GET /\n"])
def test_what_cannot_become_a_request_is_refused_before_it_is_complete(inbox, scratch, start):
    receive(inbox, scratch, start)
    with pytest.raises(HeadRefusedError):
        inbox.take_head()
