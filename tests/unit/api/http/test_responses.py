"""Responses as bytes."""

from email.utils import parsedate_to_datetime
from http import HTTPStatus

import pytest

from edged.api.http.responses import JOINED_BYTES, SERVER, Response, encode_response


def response_of(*parts, **fields) -> Response:
    return Response(status=HTTPStatus.OK, content_type="text/plain", parts=parts, fields=fields)


def test_a_response_has_a_length_a_date_and_what_it_is_told():
    head, _, body = bytes(
        b"".join(encode_response(response_of(b"ab", memoryview(b"cd"), Allow="GET"), connection="close"))
    ).partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    fields = dict(item.split(": ", 1) for item in lines)

    assert (line, body) == ("HTTP/1.1 200 OK", b"abcd")
    assert parsedate_to_datetime(fields.pop("Date")).tzinfo is not None
    assert fields == {
        "Server": SERVER,
        "Content-Type": "text/plain",
        "Content-Length": "4",
        "Allow": "GET",
        "Connection": "close",
    }


def test_most_connections_need_not_be_told_what_becomes_of_them():
    assert b"Connection" not in encode_response(response_of(b""), connection="")[0]


@pytest.mark.parametrize(("size", "buffers"), [(JOINED_BYTES, 1), (JOINED_BYTES + 1, 2)])
def test_a_large_body_is_sent_without_being_copied(size, buffers):
    body = bytes(size)
    sent = encode_response(response_of(body))

    assert len(sent) == buffers
    assert (sent[-1] is body) == (buffers == 2)
