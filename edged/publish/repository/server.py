"""A plain static web server for a repository, to try things out on one machine.

It answers like the hosts that repositories are put on: byte ranges, validators, kept-open connections (RFC 9110 and 9112). Nothing but
GET and HEAD, no listings, nothing whose name begins with a dot.
"""

import os
import re
import socket
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

from edged.files import READ_BLOCK_BYTES

_RANGE: Final = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")
_IDLE_TIMEOUT_S: Final = 60
_SLOW_BLOCK_S: Final = 0.05
"""How much of a body is sent at once when the rate is limited."""


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Find the part of a file that a ``Range`` header asks for (RFC 9110, section 14.1.2).

    Args:
        header: The header's value.
        size: The file's size in bytes.

    Returns:
        First byte and number of bytes; None when the header is to be ignored: another unit, several ranges, or no range at all.

    Raises:
        ValueError: The range begins after the end of the file, or asks for nothing.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        begin, end = max(size - int(suffix), 0), size
    else:
        begin, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < begin:
            return None
    if begin >= end:
        raise ValueError(f"no bytes of {size} match {header}")
    return begin, end - begin


class StaticHandler(BaseHTTPRequestHandler):
    """Answers requests on one connection."""

    protocol_version = "HTTP/1.1"
    server_version = "edge-publish"
    sys_version = ""
    timeout = _IDLE_TIMEOUT_S
    # A head and a small body are two writes; the second must not wait for the peer's delayed acknowledgement.
    disable_nagle_algorithm = True
    server: "StaticServer"

    def do_GET(self) -> None:
        """Answer with a file, a part of one, or that it has not changed."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Print one line for each answer when the server was asked to."""
        if self.server.prints_access:
            sys.stderr.write(f"{self.address_string()} {format % args}\n")

    def _answer(self, *, with_body: bool) -> None:
        file = self._open()
        if file is None:
            self._empty(HTTPStatus.NOT_FOUND)
            return
        with file:
            self._send(file, with_body=with_body)

    def _open(self) -> BinaryIO | None:
        """Open the file a request names; None when there is none, or it is hidden or outside."""
        parts = unquote(urlsplit(self.path).path).split("/")[1:]
        if any(part.startswith(".") or not part for part in parts):
            return None
        try:
            path = self.server.root.joinpath(*parts).resolve()
            if not path.is_relative_to(self.server.root) or not path.is_file():
                return None
            return path.open("rb")
        except (OSError, ValueError):  # a name too long, or with a NUL in it
            return None

    def _send(self, file: BinaryIO, *, with_body: bool) -> None:
        stat = os.fstat(file.fileno())
        size = stat.st_size
        etag = f'"{stat.st_mtime_ns:x}-{size:x}"'
        validators = {"ETag": etag, "Last-Modified": formatdate(stat.st_mtime, usegmt=True), "Accept-Ranges": "bytes"}
        known = [tag.strip().removeprefix("W/") for tag in self.headers.get("If-None-Match", "").split(",")]
        if etag in known or "*" in known:
            self._empty(HTTPStatus.NOT_MODIFIED, validators)
            return
        begin, length, status = 0, size, HTTPStatus.OK
        # A range of a file that changed since is of no use: the whole new one is sent (RFC 9110, section 13.1.5).
        if "Range" in self.headers and self.headers.get("If-Range", etag) == etag:
            try:
                part = parse_range(self.headers["Range"], size)
            except ValueError:
                self._empty(
                    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {**validators, "Content-Range": f"bytes */{size}"}
                )
                return
            if part is not None:
                begin, length = part
                status = HTTPStatus.PARTIAL_CONTENT
                validators["Content-Range"] = f"bytes {begin}-{begin + length - 1}/{size}"
        self.send_response(status)
        headers = {**validators, "Content-Type": "application/octet-stream", "Content-Length": str(length)}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self._copy(file, begin, length)

    def _copy(self, file: BinaryIO, begin: int, length: int) -> None:
        file.seek(begin)
        rate = self.server.bytes_per_s
        block_bytes = min(READ_BLOCK_BYTES, max(1, int(rate * _SLOW_BLOCK_S))) if rate else READ_BLOCK_BYTES
        try:
            while length and (block := file.read(min(length, block_bytes))):
                self.wfile.write(block)
                length -= len(block)
                if rate:
                    self.server.pause(len(block) / rate)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True
        if length:  # the file became shorter; only closing tells the client
            self.close_connection = True

    def _empty(self, status: HTTPStatus, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", "0")
        self.end_headers()


class StaticServer(ThreadingHTTPServer):
    """Serves one directory; ``serve_forever`` runs it, ``shutdown`` from another thread ends it.

    Args:
        root: The directory.
        host: Name or address to listen on.
        port: 0 takes a free one.
        prints_access: Print one line for each answer on standard error.
        bytes_per_s: How fast each body is sent, as a slow link would bring it; 0 is as fast as can be.
        pause: Waits for so many seconds, to keep to that rate.
    """

    daemon_threads = True

    def __init__(
        self,
        root: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        prints_access: bool = False,
        bytes_per_s: float = 0.0,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self.root = root.resolve()
        self.prints_access = prints_access
        self.bytes_per_s = bytes_per_s
        self.pause = pause
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), StaticHandler)

    def server_bind(self) -> None:
        """Bind without asking the resolver for the machine's name, which takes seconds where there is no network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    @property
    def url(self) -> str:
        """Where the directory is to be found; ends in a slash."""
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}/"
