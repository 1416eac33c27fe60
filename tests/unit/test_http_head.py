"""Heads of answers, whole, in pieces, and not understood."""

import pytest

from edged.http_head import MAX_HEAD_BYTES, AnswerError, parse_head, read_size

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


def test_fields_are_found_by_their_names_in_small_letters_and_joined():
    head, rest = parse_head(b"HTTP/1.1 200 \r\nVia:  a \r\nVIA: b\r\nEmpty:\r\n\r\nrest")

    assert head.fields == {"via": "a, b", "empty": ""}
    assert rest == b"rest"


def test_every_beginning_of_a_head_asks_for_more():
    assert [parse_head(HEAD[:end]) for end in range(len(HEAD))] == [None] * len(HEAD)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nNo Field: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES,
    ],
)
def test_what_is_not_plain_is_refused(data):
    with pytest.raises(AnswerError):
        parse_head(data)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("007", 7),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, None),
        ("", None),
        ("-1", None),
        ("1_0", None),
        ("²", None),
        ("٣", None),
    ],
)
def test_a_size_is_plain_digits_and_no_more_than_any_file_has(text, size):
    assert read_size(text) == size
