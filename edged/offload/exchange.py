"""Requests to one endpoint and their answers: through the gate, inside TLS, on a connection that is kept for the next one.

A kept connection may have been closed by the other end meanwhile. Where it breaks before a byte of the answer has come, the request is sent
once more, on a new one; a model that is asked twice answers the same twice. One that is new is never asked again.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from edged import __version__
from edged.config.schema import EndpointConfig
from edged.http_head import MAX_HEAD_BYTES, AnswerError, parse_head
from edged.offload.reply import HEAD_END, Count, Reply, read_reply
from edged.offload.trouble import TroubleError

HTTPS_PORT: Final = 443
KEPT_S: Final = 30.0
"""A connection that nobody used for so long is closed: each has a place at the gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to ask."""

    config: EndpointConfig
    credential: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.config.url)
        return parts.hostname or "", parts.port or HTTPS_PORT

    def head(self, body: bytes, header_length: int) -> bytes:
        """Write the head of a request."""
        parts = urlsplit(self.config.url)
        host, port = self.place
        fields = {
            "Host": host if port == HTTPS_PORT else f"{host}:{port}",
            "User-Agent": f"edged/{__version__}",
            "Accept-Encoding": "identity",
            **self.credential,
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": str(header_length),
            "Content-Length": str(len(body)),
        }
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass(frozen=True, slots=True)
class _Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def close(self) -> None:
        # At once: nothing is left to be said, and a peer that does not read keeps nobody waiting.
        self.writer.transport.abort()


class _StaleError(Exception):
    """A kept connection was closed before anything was answered on it."""


class Asker:
    """Asks one endpoint. Used on one event loop; ``close`` gives up the connection that is kept.

    Args:
        endpoint: Where to.
        gate: The gate's socket.
        tls: How to verify the endpoint.
    """

    def __init__(self, endpoint: Endpoint, *, gate: Path, tls: ssl.SSLContext) -> None:
        self.endpoint: Final = endpoint
        self._gate = gate
        self._tls = tls
        self._kept: _Line | None = None
        self._expiry: asyncio.TimerHandle | None = None

    async def ask(self, body: bytes, header_length: int, *, count: Count) -> Reply:
        """Send a request and read its answer. The caller limits the time.

        Args:
            body: Of the request.
            header_length: Of the JSON in it.
            count: Told every byte.

        Raises:
            TroubleError: There is no usable answer.
        """
        kept = self._take()
        try:
            if kept is not None:
                try:
                    return await self._ask_on(kept, body, header_length, count)
                except _StaleError:
                    pass
            return await self._ask_on(await self._connect(), body, header_length, count)
        except (OSError, asyncio.IncompleteReadError, _StaleError) as exc:
            raise TroubleError("unreachable", "the connection with the endpoint broke") from exc
        except (AnswerError, asyncio.LimitOverrunError) as exc:
            raise TroubleError("nonsense", "the endpoint does not speak HTTP/1.1 as it should") from exc

    def close(self) -> None:
        """Close the connection that is kept."""
        line = self._take()
        if line is not None:
            line.close()

    async def _ask_on(self, line: _Line, body: bytes, header_length: int, count: Count) -> Reply:
        head, received = self.endpoint.head(body, header_length), count.received
        is_whole = False
        try:
            line.writer.write(head)
            line.writer.write(body)
            count.sent += len(head) + len(body)
            await line.writer.drain()
            reply = await read_reply(line.reader, self.endpoint.config.max_answer_bytes, count)
            is_whole = not reply.ends_connection
        except (ConnectionError, asyncio.IncompleteReadError) as exc:
            if count.received == received and not getattr(exc, "partial", b""):
                raise _StaleError from exc
            raise
        finally:
            # One that was left in the middle would give what still comes to the next request.
            if is_whole:
                self._keep(line)
            else:
                line.close()
        return reply

    async def _connect(self) -> _Line:
        try:
            line = _Line(*await asyncio.open_unix_connection(str(self._gate), limit=MAX_HEAD_BYTES))
        except OSError as exc:
            raise TroubleError("unreachable", f"the egress gate does not answer: {exc.strerror}") from exc
        try:
            await _open_tunnel(line.reader, line.writer, self.endpoint)
            await _shake_hands(line.writer, self.endpoint, self._tls)
        except BaseException:
            line.close()
            raise
        return line

    def _keep(self, line: _Line) -> None:
        """Keep one for the next request; the newest, where requests overlapped."""
        self.close()
        self._kept = line
        self._expiry = asyncio.get_running_loop().call_later(KEPT_S, self.close)

    def _take(self) -> _Line | None:
        kept, self._kept = self._kept, None
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if kept is not None and (kept.reader.at_eof() or kept.writer.is_closing()):
            kept.close()
            return None
        return kept


async def _open_tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, endpoint: Endpoint) -> None:
    host, port = endpoint.place
    where = f"{host}:{port}"
    writer.write(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode())
    parsed = parse_head(await reader.readuntil(HEAD_END))
    status = 0 if parsed is None else parsed[0].status
    if status == 403:
        raise TroubleError("refused", f"the egress gate refuses {where}")
    if status != 200:
        raise TroubleError("unreachable", f"{where} cannot be reached (the gate says {status})")


async def _shake_hands(writer: asyncio.StreamWriter, endpoint: Endpoint, tls: ssl.SSLContext) -> None:
    host, _ = endpoint.place
    try:
        await writer.start_tls(tls, server_hostname=host)
    except ssl.SSLCertVerificationError as exc:
        raise TroubleError("unreachable", f"the certificate of {host} is not valid: {exc.verify_message}") from exc
    except ssl.SSLError as exc:
        raise TroubleError("unreachable", f"no TLS with {host}: {exc.reason}") from exc
