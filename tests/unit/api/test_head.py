"""The head of a request, judged without a socket; what is refused is in the integration tests, with its answer."""

from hypothesis import given
from hypothesis import strategies as st

from edged.api.head import MAX_FIELDS, HeadRefusedError, parse_head


def test_a_request_without_a_body_has_length_0():
    assert parse_head(b"GET / HTTP/1.1\r\nHost: a", max_body_bytes=10).content_length == 0


def test_the_limits_themselves_are_allowed():
    fields = b"\r\nX: y" * (MAX_FIELDS - 2)

    assert (
        parse_head(b"POST / HTTP/1.0\r\nhost:\r\nCONTENT-LENGTH:  10\t" + fields, max_body_bytes=10).content_length
        == 10
    )


@given(st.binary(max_size=60))
def test_any_bytes_are_a_head_or_refused(block):
    try:
        length = parse_head(block, max_body_bytes=10).content_length
    except HeadRefusedError:
        return
    assert 0 <= length <= 10


@given(
    st.lists(
        st.sampled_from([b"Host: a", b"Content-Length: 7", b"Content-Length: 07", b"X: y", b"X y", b"", b" z"]),
        max_size=5,
    )
)
def test_a_head_that_passes_has_one_host_and_one_length(lines):
    try:
        head = parse_head(b"\r\n".join([b"GET / HTTP/1.1", *lines]), max_body_bytes=10)
    except HeadRefusedError:
        return
    lengths = [line for line in lines if line.startswith(b"Content-Length")]
    assert lines.count(b"Host: a") == 1
    assert (len(lengths), head.content_length) in {(0, 0), (1, 7)}
