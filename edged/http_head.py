"""Read the head of an answer to a small request, HTTP/1.1 (RFC 9112). Pure.

For processes that are too small, or too narrow in their rights, for a whole client. Whatever is not plain is refused rather than
interpreted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_HEAD_BYTES: Final = 16_384

_HEAD_END: Final = b"\r\n\r\n"
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")


class AnswerError(ValueError):
    """An answer is not one of those that are understood here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The beginning of an answer."""

    status: int
    fields: Mapping[str, str]
    """By their names in small letters."""


def parse_head(data: bytes) -> tuple[Head, bytes] | None:
    """Read the head of an answer.

    Args:
        data: What has come so far.

    Returns:
        The head and what came after it; None while it is not complete.

    Raises:
        AnswerError: It is none, or too long.
    """
    text, end, rest = data.partition(_HEAD_END)
    if len(text) > MAX_HEAD_BYTES:
        raise AnswerError(f"a head of more than {MAX_HEAD_BYTES} bytes")
    if not end:
        return None
    first, *lines = text.split(b"\r\n")
    status = _STATUS_LINE.fullmatch(first)
    if status is None:
        raise AnswerError(f"no status line of HTTP/1.1: {first[:80]!r}")
    fields: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise AnswerError(f"no header field: {line[:80]!r}")
        name, value = field[1].decode("ascii").lower(), field[2].decode("latin-1")
        # Section 5.3 of RFC 9110: what comes more than once is one list.
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return Head(status=int(status[1]), fields=fields), rest


def read_size(text: str) -> int | None:
    """Read a number of bytes out of a field; None when it is none. Not every digit is one to ``int``, and not any number of them."""
    return int(text) if _NUMBER.fullmatch(text) else None
