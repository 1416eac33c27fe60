"""HTTP/1.1 responses as bytes (RFC 9112), for those requests that no server library answers. Pure but for the clock of ``Date``."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from edged import __version__
from edged.api.http.problems import CONTENT_TYPE, ProblemDetails

SERVER: Final = f"edged/{__version__}"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
JOINED_BYTES: Final = 64 << 10
"""Up to this size a response is put together and sent at once; copying more costs more than sending it in parts."""

_STATUS_LINES: Final = {status: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response before it is known what becomes of its connection."""

    status: HTTPStatus
    content_type: str
    parts: Sequence[Buffer]
    """Of the body, in order."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Headers that are neither about the body's length and type nor about the connection."""


def problem_response(problem: ProblemDetails) -> Response:
    """Answer with a problem body in both dialects: what is answered here is either inference or not known yet."""
    return Response(
        status=problem.status,
        content_type=CONTENT_TYPE,
        parts=(problem.encode(is_v2=True),),
        fields=problem.headers(),
    )


def encode_response(response: Response, *, connection: str = "") -> list[Buffer]:
    """Write a response as the buffers to send, in order.

    Args:
        response: What to say.
        connection: Value of the Connection header; empty for none.
    """
    size = sum([part.nbytes if isinstance(part, memoryview) else len(part) for part in response.parts])
    fields = (*response.fields.items(), ("Connection", connection)) if connection else tuple(response.fields.items())
    head = _head(response.status, response.content_type, size, fields, int(time.time()))
    if size > JOINED_BYTES:
        return [head, *response.parts]
    return [b"".join([head, *response.parts])]


# Answers of one model within one second differ in their bodies alone.
@lru_cache(maxsize=32)
def _head(status: HTTPStatus, content_type: str, size: int, fields: tuple[tuple[str, str], ...], unix_s: int) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
    return (
        f"{_STATUS_LINES[status]}Server: {SERVER}\r\nDate: {formatdate(unix_s, usegmt=True)}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {size}\r\n{lines}\r\n"
    ).encode("latin-1")
