"""Read what an endpoint answers, HTTP/1.1 (RFC 9112), as hostile as it may be.

Heads and bodies have limits, a redirect is refused rather than followed (the administrator named a place, not its owner's friends), and a
body whose end is in doubt is none.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Final

from edged.http_head import AnswerError, Head, parse_head
from edged.offload.trouble import TroubleError

HEAD_END: Final = b"\r\n\r\n"
_BLOCK_BYTES: Final = 1 << 16
_LENGTH: Final = re.compile(r"[0-9]{1,10}")
_SECONDS: Final = re.compile(r"[0-9]{1,6}")
_CHUNK_HEAD: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_MOST_REST_S: Final = 86_400.0


@dataclass(slots=True)
class Count:
    """Bytes of one exchange, as they come and go."""

    sent: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is worth reading."""

    body: bytes
    header_length: int | None
    """Of the JSON in it; None where it is all JSON."""
    ends_connection: bool
    """The endpoint closes the connection now."""


async def read_reply(reader: asyncio.StreamReader, max_bytes: int, count: Count) -> Reply:
    """Read an answer.

    Args:
        reader: The connection.
        max_bytes: Largest body.
        count: Told every byte.

    Raises:
        TroubleError: The answer is none that could be used, or is too large.
        AnswerError: It is not HTTP/1.1 as it should be.
        LimitOverrunError: Its head is too long.
        OSError: The connection broke.
        IncompleteReadError: It ended.
    """
    data = await reader.readuntil(HEAD_END)
    count.received += len(data)
    parsed = parse_head(data)
    if parsed is None:
        raise AnswerError("no head")
    head, _ = parsed
    _check_status(head)
    body = await _read_body(reader, head, max_bytes, count)
    stated = head.fields.get("inference-header-content-length")
    if stated is not None and _LENGTH.fullmatch(stated) is None:
        raise AnswerError("no length of a header")
    options = {option.strip() for option in head.fields.get("connection", "").lower().split(",")}
    return Reply(body=body, header_length=None if stated is None else int(stated), ends_connection="close" in options)


def _check_status(head: Head) -> None:
    match head.status:
        case 200:
            return
        case 429 | 503:
            text = head.fields.get("retry-after", "")
            wait_s = min(float(text), _MOST_REST_S) if _SECONDS.fullmatch(text) else None
            raise TroubleError("busy", f"the endpoint is busy (status {head.status})", retry_after_s=wait_s)
        case status if 300 <= status < 400:
            raise TroubleError("refused", f"the endpoint sends elsewhere (status {status}), which is not followed")
        case status if 400 <= status < 500:
            raise TroubleError("refused", f"the endpoint refuses the request (status {status})")
        case status if status >= 500:
            raise TroubleError("unreachable", f"the endpoint fails (status {status})")
        case status:
            raise AnswerError(f"status {status} before the answer")


async def _read_body(reader: asyncio.StreamReader, head: Head, max_bytes: int, count: Count) -> bytes:
    """Read a body by its length or by its chunks (RFC 9112, section 6.3); one that only the connection ends might be cut off."""
    if head.fields.get("content-encoding", "identity").lower() != "identity":
        raise AnswerError("an encoding that nobody asked for")
    if "transfer-encoding" in head.fields:
        if head.fields["transfer-encoding"].lower() != "chunked" or "content-length" in head.fields:
            raise AnswerError("a body whose end is in doubt")
        return await _read_chunks(reader, max_bytes, count)
    length = head.fields.get("content-length", "")
    if _LENGTH.fullmatch(length) is None:
        raise AnswerError("a body without a length")
    _check_size(int(length), max_bytes)
    return await _read_exactly(reader, int(length), count)


async def _read_chunks(reader: asyncio.StreamReader, max_bytes: int, count: Count) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        line = await reader.readuntil(b"\r\n")
        count.received += len(line)
        chunk = _CHUNK_HEAD.fullmatch(line)
        if chunk is None:
            raise AnswerError("no beginning of a chunk")
        length = int(chunk[1], 16)
        size += length
        _check_size(size, max_bytes)
        parts.append(await _read_exactly(reader, length, count))
        if await _read_exactly(reader, 2, count) != b"\r\n":
            raise AnswerError("a chunk longer than it says, or a trailer")
        if length == 0:
            return b"".join(parts)


async def _read_exactly(reader: asyncio.StreamReader, length: int, count: Count) -> bytes:
    """Read so many bytes, block by block: what is said to come is not yet worth any memory."""
    parts: list[bytes] = []
    left = length
    while left:
        block = await reader.read(min(left, _BLOCK_BYTES))
        if not block:
            raise ConnectionResetError("the connection ended within the answer")
        count.received += len(block)
        left -= len(block)
        parts.append(block)
    return b"".join(parts)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise TroubleError("too-large", f"the answer is larger than max_answer_bytes ({max_bytes})")
