"""Judge the head of an HTTP/1.1 request (RFC 9112) before anything else sees it. Pure.

edged's API needs little of HTTP, so what it does not need is refused here, the same way with every version of the server library:

1. a head of at most ``MAX_HEAD_BYTES`` with at most ``MAX_FIELDS`` fields and lines of at most ``MAX_LINE_BYTES``;
2. a request line with a known method, a path, and HTTP/1.0 or 1.1;
3. fields written exactly as section 5 says: no folding, no space before the colon, no control characters;
4. exactly one Host (section 3.2), and at most one of every other field that has one value;
5. bodies of a stated length: Transfer-Encoding is refused, and with it chunk extensions, trailers and every doubt about where a body
   ends (section 6.3);
6. bodies as they are: on a Unix socket compression saves nothing, and its size says nothing about what comes out;
7. no Upgrade, and no expectation but ``100-continue``.

The absolute form of a target (section 3.2.2) is for proxies and is refused too; nothing proxies a Unix socket this way.

Every request pays for this, so two regular expressions read all of it, and only what breaks a rule is looked at again; a head that is
the same as one of the last few, as those of a client in a loop are, is not read again at all.
"""

import re
from functools import lru_cache
from http import HTTPStatus
from typing import Final

import msgspec

from edged.api.http.problems import ProblemDetails, for_status

MAX_HEAD_BYTES: Final = 32 << 10
MAX_LINE_BYTES: Final = 8000
"""Below the 8190 at which the server library gives up with a body of its own."""
MAX_FIELDS: Final = 64
_REMEMBERED: Final = 32

_REQUEST_LINE: Final = re.compile(rb"([!-~]+) ([!-~]+) HTTP/([0-9]\.[0-9])")
_FIELDS: Final = re.compile(rb"(?:\r\n[A-Za-z0-9!#$%&'*+.^_`|~-]+:[\t\x20-\x7e\x80-\xff]*)*")
_FIELD: Final = re.compile(rb"\n([^:]+):([^\r]*)")
"""One of ``_FIELDS``, once all of them are known to be well written."""
_HOST: Final = re.compile(rb"[A-Za-z0-9._%:\[\]-]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
"""At most 18 digits: more is no length of anything, and int() of many thousands would take its time."""
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
# The last is of a draft of WebSocket, which the server library refuses in words of its own.
_RARE: Final = frozenset({b"transfer-encoding", b"content-encoding", b"upgrade", b"expect", b"sec-websocket-key1"})


class HeadRefusedError(Exception):
    """A head breaks a rule above; never leaves the API, whose answer is ``problem``."""

    def __init__(self, problem: ProblemDetails) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What of a head edged acts on. A struct, because one is made for each request."""

    method: bytes
    target: bytes
    """As it was sent: printable ASCII that begins with a slash."""
    content_length: int
    header_length: bytes | None = None
    """The value of Inference-Header-Content-Length; None when there is none."""
    has_keepalive: bool = True
    """Whether the peer may send another request on its connection (RFC 9112, section 9.3)."""
    is_http_1_0: bool = False
    expects_continue: bool = False
    """Whether the peer waits for ``100 Continue`` before it sends the body (RFC 9110, section 10.1.1)."""


@lru_cache(maxsize=_REMEMBERED)
def parse_head(block: bytes, *, max_body_bytes: int) -> Head:
    """Check a head against the rules of this module.

    Args:
        block: Everything before the empty line, without the line ending of its last line.
        max_body_bytes: Longest body to accept.

    Raises:
        HeadRefusedError: It breaks a rule, or announces a body that is too long.
    """
    line_end = block.find(b"\r\n")
    if line_end < 0:
        line_end = len(block)
    if len(block) > MAX_LINE_BYTES:
        _check_lines(block)
    line = _REQUEST_LINE.fullmatch(block, 0, line_end)
    if line is None:
        raise _refused(
            HTTPStatus.BAD_REQUEST, "The request does not begin with a line of method, path and HTTP version."
        )
    method, target, version = line.groups()
    _check_request_line(method, target, version)
    if _FIELDS.fullmatch(block, line_end) is None:
        _check_count(block.count(b"\r\n"))
        raise _refused(HTTPStatus.BAD_REQUEST, "A header field is not written as RFC 9112, section 5, says.")
    fields = _gather(_FIELD.findall(block, line_end))
    if fields.keys() & _RARE:
        _check_rare(fields)
    is_http_1_0 = version == b"1.0"
    return Head(
        method=method,
        target=target,
        content_length=_content_length(fields.get(b"content-length"), max_body_bytes),
        header_length=fields.get(b"inference-header-content-length"),
        has_keepalive=_has_keepalive(fields.get(b"connection"), is_http_1_0=is_http_1_0),
        is_http_1_0=is_http_1_0,
        expects_continue=b"expect" in fields and not is_http_1_0,
    )


def _check_lines(block: bytes) -> None:
    first, *others = block.split(b"\r\n")
    _check_count(len(others))
    if any(len(line) > MAX_LINE_BYTES for line in others):
        raise _too_large()
    if len(first) > MAX_LINE_BYTES:
        raise _refused(HTTPStatus.REQUEST_URI_TOO_LONG, f"A request line has at most {MAX_LINE_BYTES} bytes.")


def _check_count(fields: int) -> None:
    if fields > MAX_FIELDS:
        raise _too_large()


def _check_request_line(method: bytes, target: bytes, version: bytes) -> None:
    if version not in {b"1.1", b"1.0"}:
        raise _refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "This socket speaks HTTP/1.1.")
    if method not in _METHODS:
        raise _refused(HTTPStatus.NOT_IMPLEMENTED, "The request's method is not known here.")
    if not target.startswith(b"/"):
        raise _refused(HTTPStatus.BAD_REQUEST, "The request's target does not begin with a slash.")


def _gather(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return fields by their names in lower case; the values of one that is there more than once are joined (RFC 9110, section 5.2)."""
    _check_count(len(pairs))
    fields: dict[bytes, bytes] = {}
    for written, value in pairs:
        name = written.lower()
        if name in fields:
            if name == b"host":
                break
            if name in _ONCE:
                raise _refused(HTTPStatus.BAD_REQUEST, "A header field that has one value is there more than once.")
            fields[name] += b"," + value
        else:
            fields[name] = value.strip(b" \t")
    else:
        host = fields.get(b"host")
        if host is not None and _HOST.fullmatch(host) is not None:
            return fields
    raise _refused(
        HTTPStatus.BAD_REQUEST,
        "A request has exactly one Host header, and it names a host.",
        hint="Host: localhost will do.",
    )


def _check_rare(fields: dict[bytes, bytes]) -> None:
    if b"transfer-encoding" in fields:
        raise _refused(
            HTTPStatus.LENGTH_REQUIRED, "A request's body has a Content-Length; transfer encodings are not taken."
        )
    if fields.get(b"content-encoding", b"").lower() not in {b"", b"identity"}:
        raise HeadRefusedError(
            for_status(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "Compressed bodies are not taken.",
                fields={"Accept-Encoding": "identity"},
            )
        )
    if b"upgrade" in fields or b"sec-websocket-key1" in fields:
        raise _refused(HTTPStatus.BAD_REQUEST, "This socket speaks HTTP/1.1 and nothing to upgrade to.")
    if b"expect" in fields and _tokens(fields[b"expect"]) != {b"100-continue"}:
        raise _refused(HTTPStatus.EXPECTATION_FAILED, "The only expectation known here is 100-continue.")


def _has_keepalive(connection: bytes | None, *, is_http_1_0: bool) -> bool:
    if connection is None:
        return not is_http_1_0
    tokens = _tokens(connection)
    return b"close" not in tokens and (not is_http_1_0 or b"keep-alive" in tokens)


def _tokens(value: bytes) -> set[bytes]:
    return {token.strip(b" \t").lower() for token in value.split(b",")}


def _content_length(text: bytes | None, max_body_bytes: int) -> int:
    if text is None:
        return 0
    if _LENGTH.fullmatch(text) is None:
        raise _refused(HTTPStatus.BAD_REQUEST, "The Content-Length is not a number of bytes.")
    length = int(text)
    if length > max_body_bytes:
        raise _refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The body has {length} bytes; at most {max_body_bytes} are taken.",
            hint="serve.max_body_bytes in edged.toml sets the limit.",
        )
    return length


def _too_large() -> HeadRefusedError:
    return _refused(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"A request has at most {MAX_FIELDS} header fields of at most {MAX_LINE_BYTES} bytes.",
    )


def _refused(status: HTTPStatus, detail: str, *, hint: str = "") -> HeadRefusedError:
    return HeadRefusedError(for_status(status, detail, hint=hint))
