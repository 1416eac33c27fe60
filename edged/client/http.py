"""As much of HTTP/1.1 as a client of edged needs. Pure; standard library only.

``http.client`` reads an answer's head with the parser for mails, which costs more than the whole exchange on a Unix socket. edged states
the length of every answer (RFC 9112, section 6.2) and sends nothing in chunks, so an answer is a head and so many bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from edged.client.call import HEADER_LENGTH, Call, Result, read_body, write_body
from edged.errors import EdgedError
from edged.problems import error_from_body

HEAD_END: Final = b"\r\n\r\n"
MAX_HEAD_BYTES: Final = 64 << 10
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The beginning of an answer."""

    status: int
    headers: Mapping[str, str]
    """With names in lower case."""
    content_length: int

    @property
    def is_last(self) -> bool:
        """The server closes the connection after this answer."""
        return self.headers.get("connection", "").lower() == "close"


def write_get(path: str) -> bytes:
    """Return a request for a document."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n".encode()


def write_infer(model: str, version: str | None, call: Call) -> list[bytes | memoryview]:
    """Return the parts of an inference request; tensors are not copied."""
    parts, length = write_body(call)
    path = f"/v2/models/{quote(model, safe='')}" + (f"/versions/{quote(version, safe='')}" if version else "")
    head = (
        f"POST {path}/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
        f"{HEADER_LENGTH}: {length}\r\nContent-Length: {sum(map(len, parts))}\r\n\r\n"
    )
    return [head.encode() + parts[0], *parts[1:]]


def read_head(data: bytes) -> Head:
    """Read an answer's head, without the empty line that ends it.

    Raises:
        EdgedError: It is none.
    """
    try:
        status_line, *lines = data.decode("latin-1").split("\r\n")
        _, status = status_line.removeprefix("HTTP/1.").split(" ")[:2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Head(status=int(status), headers=headers, content_length=int(headers["content-length"]))
    except (ValueError, KeyError) as exc:
        raise EdgedError(f"What answers at the socket does not speak HTTP as edged does: {data[:60]!r}.") from exc


def read_result(head: Head, body: bytes) -> Result:
    """Return the answer to an inference request.

    Raises:
        EdgedError: What the server says went wrong, of the class it has there.
    """
    check(head, body)
    return read_body(head.headers, body)


def check(head: Head, body: bytes) -> None:
    """Raise what an answer says went wrong.

    Raises:
        EdgedError: As ``read_result``.
    """
    if head.status != _OK:
        retry_after = head.headers.get("retry-after", "")
        raise error_from_body(head.status, body, retry_after_s=int(retry_after) if retry_after.isdigit() else None)
