"""Read what a host answers to the question for its timestamp: a whole answer, HTTP/1.1 (RFC 9112). Pure.

For the one question that the updater's process asks by itself, whose answers are short and plain. Whatever is not is refused here rather
than interpreted; ``edged.update.origins.fetcher`` then finds out what it is.
"""

import re
from dataclasses import dataclass
from typing import Final

from edged.http_head import AnswerError, Head, parse_head

MAX_BODY_BYTES: Final = 16_384
"""What python-tuf takes for a timestamp."""

_LENGTH: Final = re.compile(rb"[0-9]{1,9}")
_CHUNK_HEAD: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_LONGEST_CHUNK_HEAD: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer."""

    head: Head
    body: bytes

    @property
    def ends_connection(self) -> bool:
        """Whether the host closes the connection now."""
        options = self.head.fields.get("connection", "").lower().split(",")
        return "close" in {option.strip() for option in options}


def parse_answer(data: bytes) -> Answer | None:
    """Read an answer to a GET request.

    Args:
        data: What has come so far.

    Returns:
        The answer; None while it is not complete.

    Raises:
        AnswerError: It is not understood here: no length, too long, or followed by something that nobody asked for.
    """
    parsed = parse_head(data)
    if parsed is None:
        return None
    head, rest = parsed
    if head.status < 200:
        raise AnswerError(f"status {head.status} before the answer")
    framed = _cut_body(head, rest)
    if framed is None:
        return None
    body, surplus = framed
    if surplus:
        raise AnswerError("bytes behind the end of the answer")
    return Answer(head=head, body=body)


def _cut_body(head: Head, data: bytes) -> tuple[bytes, bytes] | None:
    """Return the body and what follows it (section 6.3), or None while it is not complete."""
    if head.status in {204, 304}:
        return b"", data
    if "transfer-encoding" in head.fields:
        if head.fields["transfer-encoding"].lower() != "chunked" or "content-length" in head.fields:
            raise AnswerError("a body whose end is in doubt")
        return _join_chunks(data)
    length = _LENGTH.fullmatch(head.fields.get("content-length", "").encode("latin-1"))
    if length is None:
        raise AnswerError("a body without a length")
    size = int(length[0])
    if size > MAX_BODY_BYTES:
        raise AnswerError(f"a body of {size} bytes")
    return (data[:size], data[size:]) if len(data) >= size else None


def _join_chunks(data: bytes) -> tuple[bytes, bytes] | None:
    """Join the chunks of a body (section 7.1), without trailers; None while one is missing."""
    body = b""
    while True:
        match = _CHUNK_HEAD.match(data)
        if match is None:
            if len(data) > _LONGEST_CHUNK_HEAD:
                raise AnswerError("no beginning of a chunk")
            return None
        size = int(match[1], 16)
        if len(body) + size > MAX_BODY_BYTES:
            raise AnswerError(f"a body of more than {MAX_BODY_BYTES} bytes")
        end = match.end() + size
        if len(data) < end + 2:
            return None
        if data[end : end + 2] != b"\r\n":
            raise AnswerError("a chunk longer than it says, or a trailer")
        body += data[match.end() : end]
        data = data[end + 2 :]
        if size == 0:
            return body, data
