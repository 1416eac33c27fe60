"""The one request the gate understands, and its answers, as bytes. Pure.

``CONNECT host:port HTTP/1.1`` with one ``Host`` that says the same (RFC 9110 sections 7.2 and 9.3.6, RFC 9112 section 3.2.3). Whatever
is not exactly that is refused rather than interpreted: two readings of one request are how proxies are fooled.
"""

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

MAX_HEAD_BYTES: Final = 8192
MAX_FIELDS: Final = 32
HEAD_END: Final = b"\r\n\r\n"
METERED_FIELD: Final = "Link-Metered"
"""Said with each tunnel, as a boolean of RFC 9651: whether bytes cost money on its way. Left out where that is not known."""

NAME_NOT_RESOLVED: Final = "name-not-resolved"
"""The reason of a rejection for want of an address."""

_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.1")
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]+):([1-9][0-9]{0,4})", re.ASCII)
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectRequest:
    """A well-formed request; nothing is said yet about whether it is allowed."""

    host: str
    port: int


class RejectedError(Exception):
    """A request that is answered with something else than a tunnel.

    Args:
        status: The answer's status.
        reason: A stable word for programs.
        detail: One sentence for people.
    """

    def __init__(self, status: HTTPStatus, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail


def parse_connect(head: bytes) -> ConnectRequest:
    """Read a request head, with the empty line that ends it.

    Raises:
        RejectedError: It is anything but a well-formed CONNECT request.
    """
    if len(head) > MAX_HEAD_BYTES:
        raise too_large()
    lines = head.removesuffix(HEAD_END).split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(lines[0])
    if line is None:
        raise _malformed("The request line is not METHOD TARGET HTTP/1.1.")
    if line[1] != b"CONNECT":
        raise RejectedError(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", "Only CONNECT is served here.")
    target = line[2].decode("ascii")
    authority = _AUTHORITY.fullmatch(target)
    if authority is None or int(authority[2]) > 65535:
        raise _malformed("The target is not HOST:PORT.")
    if len(lines) - 1 > MAX_FIELDS:
        raise too_large()
    fields = [_FIELD.fullmatch(field) for field in lines[1:]]
    known = [(field[1].lower(), field[2].rstrip(b" \t")) for field in fields if field is not None]
    if len(known) != len(fields):
        raise _malformed("A header field is not NAME: VALUE.")
    if [value for name, value in known if name == b"host"] != [line[2]]:
        raise _malformed("There is not exactly one Host field that equals the target.")
    if any(name in {b"content-length", b"transfer-encoding"} for name, _ in known):
        raise _malformed("CONNECT has no body.")
    return ConnectRequest(host=authority[1], port=int(authority[2]))


def established(*, is_metered: bool | None) -> bytes:
    """Write the answer that opens a tunnel."""
    field = "" if is_metered is None else f"{METERED_FIELD}: ?{int(is_metered)}\r\n"
    return f"HTTP/1.1 200 Connection established\r\n{field}\r\n".encode()


def too_large() -> RejectedError:
    """Return what to raise for a head over the limits."""
    detail = f"The request head is larger than {MAX_HEAD_BYTES} bytes or {MAX_FIELDS} fields."
    return RejectedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", detail)


def render(rejection: RejectedError) -> bytes:
    """Write an answer with a problem body (RFC 9457)."""
    problem = {
        "type": "about:blank",
        "title": rejection.status.phrase,
        "status": int(rejection.status),
        "detail": rejection.detail,
        "reason": rejection.reason,
    }
    body = json.dumps(problem).encode()
    fields = [
        f"HTTP/1.1 {int(rejection.status)} {rejection.status.phrase}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if rejection.status is HTTPStatus.METHOD_NOT_ALLOWED:
        fields.append("Allow: CONNECT")
    if rejection.status is HTTPStatus.SERVICE_UNAVAILABLE:
        fields.append("Retry-After: 1")
    return "\r\n".join(fields).encode() + HEAD_END + body


def _malformed(detail: str) -> RejectedError:
    return RejectedError(HTTPStatus.BAD_REQUEST, "request-malformed", detail)
