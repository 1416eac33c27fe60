"""The gate's request parser takes one form and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.egress.request import MAX_HEAD_BYTES, ConnectRequest, RejectedError, established, parse_connect, render

GOOD = b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nUser-Agent: x\r\n\r\n"


def test_connect_is_read():
    assert parse_connect(GOOD) == ConnectRequest(host="a.test", port=443)


def test_bracketed_address_is_read_and_left_to_the_policy():
    head = b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n"

    assert parse_connect(head) == ConnectRequest(host="[::1]", port=443)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", 405),
        (b"POST a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 405),
        (b"connect a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 405),
        (b"\r\n\r\n", 400),
        (b"CONNECT a.test:443\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.0\r\nHost: a.test:443\r\n\r\n", 400),
        (b"CONNECT  a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1 \r\nHost: a.test:443\r\n\r\n", 400),
        (b"CONNECT a.test HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        (b"CONNECT a.test: HTTP/1.1\r\nHost: a.test:\r\n\r\n", 400),
        (b"CONNECT a.test:0 HTTP/1.1\r\nHost: a.test:0\r\n\r\n", 400),
        (b"CONNECT a.test:65536 HTTP/1.1\r\nHost: a.test:65536\r\n\r\n", 400),
        (b"CONNECT a.test:+443 HTTP/1.1\r\nHost: a.test:+443\r\n\r\n", 400),
        (b"CONNECT a.test:0443 HTTP/1.1\r\nHost: a.test:0443\r\n\r\n", 400),
        (b"CONNECT ::1:443 HTTP/1.1\r\nHost: ::1:443\r\n\r\n", 400),
        (b"CONNECT \xc3\xa4.test:443 HTTP/1.1\r\nHost: \xc3\xa4.test:443\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nHost: a.test:443\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nX : y\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n folded\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nX: a\rb\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\nHost: a.test:443\n\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nX: a\x00b\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nContent-Length: 5\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n" + b"X: y\r\n" * 40 + b"\r\n", 431),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nX: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
    ],
)
def test_anything_else_is_rejected(head, status):
    with pytest.raises(RejectedError) as caught:
        parse_connect(head)

    assert caught.value.status == status


@given(
    st.binary(max_size=200).map(lambda data: data + b"\r\n\r\n")
    | st.builds(lambda i, b: GOOD[:i] + b + GOOD[i:], st.integers(0, len(GOOD)), st.binary(min_size=1, max_size=3))
)
def test_any_bytes_give_a_request_or_a_rejection(head):
    try:
        answer = parse_connect(head)
    except RejectedError as rejected:
        answer = rejected

    assert isinstance(answer, ConnectRequest) or answer.status in {400, 405, 431}


def test_rejection_is_rendered_as_a_problem():
    with pytest.raises(RejectedError) as caught:
        parse_connect(b"GET / HTTP/1.1\r\n\r\n")
    head, _, body = render(caught.value).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert b"\r\nAllow: CONNECT" in head
    assert b"\r\nContent-Length: %d" % len(body) in head
    assert json.loads(body)["reason"] == "method-not-allowed"


@pytest.mark.parametrize(
    ("is_metered", "field"), [(None, b""), (True, b"Link-Metered: ?1\r\n"), (False, b"Link-Metered: ?0\r\n")]
)
def test_answer_that_opens_a_tunnel_says_what_is_known_of_the_link(is_metered, field):
    assert established(is_metered=is_metered) == b"HTTP/1.1 200 Connection established\r\n" + field + b"\r\n"
