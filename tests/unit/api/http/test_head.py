"""The head of a request, judged without a socket; what is refused is in the integration tests, with its answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.api.http.head import MAX_FIELDS, Head, HeadRefusedError, parse_head


def parse(block: bytes) -> Head:
    return parse_head(block, max_body_bytes=10)


def with_fields(*lines: bytes, version: bytes = b"1.1") -> Head:
    return parse(b"\r\n".join([b"POST /a?b=c HTTP/" + version, b"Host: a", *lines]))


def test_a_request_without_a_body_has_length_0():
    head = with_fields()

    assert (head.method, head.target, head.content_length, head.header_length) == (b"POST", b"/a?b=c", 0, None)


def test_the_limits_themselves_are_allowed():
    fields = b"\r\nX: y" * (MAX_FIELDS - 2)

    assert parse(b"POST / HTTP/1.0\r\nhost:\r\nCONTENT-LENGTH:  10\t" + fields).content_length == 10


@pytest.mark.parametrize(
    ("version", "lines", "has_keepalive"),
    [
        (b"1.1", [], True),
        (b"1.1", [b"Connection: keep-alive"], True),
        (b"1.1", [b"Connection: close"], False),
        (b"1.1", [b"connection: Keep-Alive , CLOSE"], False),
        (b"1.1", [b"Connection: x", b"Connection: close"], False),
        (b"1.1", [b"Connection: enclose"], True),
        (b"1.0", [], False),
        (b"1.0", [b"Connection: Keep-Alive"], True),
        (b"1.0", [b"Connection: keep-alive, close"], False),
    ],
)
def test_a_connection_stays_open_as_its_peer_and_version_say(version, lines, has_keepalive):
    """RFC 9112, section 9.3."""
    assert with_fields(*lines, version=version).has_keepalive is has_keepalive


@pytest.mark.parametrize(("version", "expects"), [(b"1.1", True), (b"1.0", False)])
def test_an_expectation_counts_from_version_1_1_on(version, expects):
    """RFC 9110, section 10.1.1."""
    assert with_fields(b"Expect: 100-Continue", version=version).expects_continue is expects


@pytest.mark.parametrize("lines", [[b"Expect: 100-continue, x"], [b"Expect: 100-continue", b"Expect: x"], [b"Expect:"]])
def test_any_other_expectation_is_refused(lines):
    with pytest.raises(HeadRefusedError) as caught:
        with_fields(*lines)

    assert caught.value.problem.status == 417


def test_a_body_that_says_it_is_itself_is_taken():
    assert with_fields(b"Content-Encoding: Identity").content_length == 0


def test_a_compressed_body_is_refused_with_what_would_be_taken():
    with pytest.raises(HeadRefusedError) as caught:
        with_fields(b"Content-Encoding: gzip")

    assert caught.value.problem.status == 415
    assert caught.value.problem.headers() == {"Accept-Encoding": "identity"}


def test_the_length_of_the_json_is_told_as_it_was_sent():
    assert with_fields(b"Inference-Header-Content-Length:  07 ").header_length == b"07"


def test_a_limit_that_was_changed_holds_for_a_head_that_was_seen_before():
    block = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8"

    assert parse_head(block, max_body_bytes=8).content_length == 8
    with pytest.raises(HeadRefusedError):
        parse_head(block, max_body_bytes=7)


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda rest: b"GET / HTTP/1.1\r\nHost: a" + rest))
def test_any_bytes_are_a_head_or_refused(block):
    try:
        length = parse(block).content_length
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
        head = parse(b"\r\n".join([b"GET / HTTP/1.1", *lines]))
    except HeadRefusedError:
        return
    lengths = [line for line in lines if line.startswith(b"Content-Length")]
    assert lines.count(b"Host: a") == 1
    assert (len(lengths), head.content_length) in {(0, 0), (1, 7)}


@given(
    names=st.lists(st.sampled_from([b"X-A", b"X-B", b"x!#$%&'*+.^_`|~-9"]), max_size=4),
    values=st.lists(st.binary(max_size=5), min_size=4, max_size=4),
)
def test_a_field_is_taken_exactly_if_every_byte_of_its_value_may_be_there(names, values):
    """RFC 9110, section 5.5: visible characters, spaces, tabs, and what is above ASCII."""
    lines = [name + b":" + value for name, value in zip(names, values, strict=False)]
    allowed = {0x09, *range(0x20, 0x7F), *range(0x80, 0x100)}
    is_right = all(set(value) <= allowed for _, value in zip(names, values, strict=False))
    try:
        with_fields(*lines)
    except HeadRefusedError:
        assert not is_right
    else:
        assert is_right
