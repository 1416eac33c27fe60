"""Judge the head of an HTTP/1.1 request (RFC 9112) before any parser of a full server sees it. Pure.

edged's API needs little of HTTP, so what it does not need is refused here, the same way with every version of the server library:

1. a head of at most ``MAX_HEAD_BYTES`` with at most ``MAX_FIELDS`` fields and lines of at most ``MAX_LINE_BYTES``;
2. a request line with a known method, a path, and HTTP/1.0 or 1.1;
3. fields written exactly as section 5 says: no folding, no space before the colon, no control characters;
4. exactly one Host (section 3.2), and at most one of every other field that has one value;
5. bodies of a stated length: Transfer-Encoding is refused, and with it chunk extensions, trailers and every doubt about where a body
   ends (section 6.3);
6. no Upgrade, and no expectation but ``100-continue``.

The absolute form of a target (section 3.2.2) is for proxies and is refused too; nothing proxies a Unix socket this way.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from edged.api.problems import ProblemDetails, for_status

MAX_HEAD_BYTES: Final = 32 << 10
MAX_LINE_BYTES: Final = 8000
"""Below the 8190 at which the server library gives up with a body of its own."""
MAX_FIELDS: Final = 64

_REQUEST_LINE: Final = re.compile(rb"([!-~]+) ([!-~]+) HTTP/([0-9]\.[0-9])")
_FIELD: Final = re.compile(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]+):([\t\x20-\x7e\x80-\xff]*)")
_HOST: Final = re.compile(rb"[A-Za-z0-9._%:\[\]-]*")
_ONCE: Final = frozenset(
    {
        b"content-encoding",
        b"content-length",
        b"content-location",
        b"content-range",
        b"content-type",
        b"etag",
        b"inference-header-content-length",
        b"max-forwards",
        b"server",
        b"user-agent",
    }
)
_METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})


class HeadRefusedError(Exception):
    """A head breaks a rule above; never leaves the API, whose answer is ``problem``."""

    def __init__(self, problem: ProblemDetails) -> None:
        super().__init__(problem.detail)
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the head says about the bytes that follow it."""

    content_length: int


def parse_head(block: bytes, *, max_body_bytes: int) -> Head:
    """Check a head against the rules of this module.

    Args:
        block: Everything before the empty line, without the line ending of its last line.
        max_body_bytes: Longest body to accept.

    Raises:
        HeadRefusedError: It breaks a rule, or announces a body that is too long.
    """
    request_line, *lines = block.split(b"\r\n")
    if len(lines) > MAX_FIELDS or any(len(line) > MAX_LINE_BYTES for line in lines):
        raise _refused(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"A request has at most {MAX_FIELDS} header fields of at most {MAX_LINE_BYTES} bytes.",
        )
    _check_request_line(request_line)
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise _refused(HTTPStatus.BAD_REQUEST, "A header field is not written as RFC 9112, section 5, says.")
        fields.setdefault(match[1].lower(), []).append(match[2].strip(b" \t"))
    _check_fields(fields)
    return Head(content_length=_content_length(fields, max_body_bytes))


def _check_request_line(line: bytes) -> None:
    if len(line) > MAX_LINE_BYTES:
        raise _refused(HTTPStatus.REQUEST_URI_TOO_LONG, f"A request line has at most {MAX_LINE_BYTES} bytes.")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise _refused(
            HTTPStatus.BAD_REQUEST, "The request does not begin with a line of method, path and HTTP version."
        )
    method, target, version = match.groups()
    if version not in {b"1.1", b"1.0"}:
        raise _refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "This socket speaks HTTP/1.1.")
    if method not in _METHODS:
        raise _refused(HTTPStatus.NOT_IMPLEMENTED, "The request's method is not known here.")
    if not target.startswith(b"/"):
        raise _refused(HTTPStatus.BAD_REQUEST, "The request's target does not begin with a slash.")


def _check_fields(fields: dict[bytes, list[bytes]]) -> None:
    hosts = fields.get(b"host", [])
    if len(hosts) != 1 or _HOST.fullmatch(hosts[0]) is None:
        raise _refused(
            HTTPStatus.BAD_REQUEST,
            "A request has exactly one Host header, and it names a host.",
            hint="Host: localhost will do.",
        )
    if b"transfer-encoding" in fields:
        raise _refused(
            HTTPStatus.LENGTH_REQUIRED, "A request's body has a Content-Length; transfer encodings are not taken."
        )
    if any(len(fields[name]) > 1 for name in _ONCE & fields.keys()):
        raise _refused(HTTPStatus.BAD_REQUEST, "A header field that has one value is there more than once.")
    # The second is of a draft of WebSocket, which the server library refuses in words of its own.
    if b"upgrade" in fields or b"sec-websocket-key1" in fields:
        raise _refused(HTTPStatus.BAD_REQUEST, "This socket speaks HTTP/1.1 and nothing to upgrade to.")
    if any(value.lower() != b"100-continue" for value in fields.get(b"expect", [])):
        raise _refused(HTTPStatus.EXPECTATION_FAILED, "The only expectation known here is 100-continue.")


def _content_length(fields: dict[bytes, list[bytes]], max_body_bytes: int) -> int:
    text = fields.get(b"content-length", [b"0"])[0]
    # At most 18 digits: more is no length of anything, and int() of many thousands would take its time.
    if re.fullmatch(rb"[0-9]{1,18}", text) is None:
        raise _refused(HTTPStatus.BAD_REQUEST, "The Content-Length is not a number of bytes.")
    length = int(text)
    if length > max_body_bytes:
        raise _refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The body has {length} bytes; at most {max_body_bytes} are taken.",
            hint="serve.max_body_bytes in edged.toml sets the limit.",
        )
    return length


def _refused(status: HTTPStatus, detail: str, *, hint: str = "") -> HeadRefusedError:
    return HeadRefusedError(for_status(status, detail, hint=hint))
