"""Answers of a host, whole, in pieces, and not understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.http_head import AnswerError
from edged.update.lookout.answer import MAX_BODY_BYTES, parse_answer

PLAIN = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: 5\r\n\r\nhello'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
UNCHANGED = b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n'
ABSENT = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: keep-alive, Close\r\n\r\nnone"


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [(PLAIN, 200, b"hello"), (CHUNKED, 200, b"hello"), (UNCHANGED, 304, b""), (ABSENT, 404, b"none")],
)
def test_answer_is_read_whole(data, status, body):
    answer = parse_answer(data)

    assert (answer.head.status, answer.body) == (status, body)


@pytest.mark.parametrize("data", [PLAIN, CHUNKED, UNCHANGED, ABSENT])
def test_every_beginning_of_an_answer_asks_for_more(data):
    assert [parse_answer(data[:end]) for end in range(len(data))] == [None] * len(data)


def test_connection_ends_only_where_the_host_says_so():
    assert parse_answer(ABSENT).ends_connection
    assert not parse_answer(PLAIN).ends_connection


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (MAX_BODY_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"x" * 300,
        PLAIN + b"HTTP/1.1 200 OK\r\n",
        UNCHANGED + b"hello",
    ],
)
def test_what_is_not_plain_is_refused(data):
    with pytest.raises(AnswerError):
        parse_answer(data)


def test_endless_chunks_are_refused():
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n"

    with pytest.raises(AnswerError):
        parse_answer(data + (b"400\r\n" + b"x" * 1024 + b"\r\n") * (MAX_BODY_BYTES // 1024))


@given(
    st.lists(
        st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"\r\n", b"Content-Length: 3\r\n", b"5\r\n", b"0\r\n"]) | st.binary()
    )
)
def test_no_bytes_do_more_than_be_refused(pieces):
    try:
        answer = parse_answer(b"".join(pieces))
    except AnswerError:
        return
    assert answer is None or len(answer.body) <= MAX_BODY_BYTES
