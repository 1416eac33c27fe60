"""A static web server on loopback that serves a directory, with Range, ETag, conditional requests and faults on demand.

Faults are per path (without the leading slash) and stay until ``heal``; the directory itself is never changed.
"""

import hashlib
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Event, Lock, Thread

from tests.fakes.patience import PATIENCE_S


class Pace:
    """How fast bodies come: no faster than a test lets them."""

    def __init__(self) -> None:
        self._size = 0
        self._changed = Condition()

    def allow(self, size: int) -> None:
        """Let so many more bytes come."""
        with self._changed:
            self._size += size
            self._changed.notify_all()

    def take(self, at_most: int) -> int:
        """Wait until something may come, and return how many bytes that is; 0 when nobody allows any."""
        with self._changed:
            self._changed.wait_for(lambda: self._size > 0, PATIENCE_S)
            size = min(self._size, at_most)
            self._size -= size
            return size


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is different about one path."""

    body: bytes | None = None
    """Served in place of the file."""
    status: int | None = None
    content_type: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    stall_after: int | None = None
    """Bytes of the body after which nothing more comes, for as long as the fault is there."""
    pace: Pace | None = None
    cut_after: int | None = None
    """Bytes of the body after which the connection is closed."""
    is_endless: bool = False
    """Its length is not told, and after the body more comes for as long as somebody reads."""
    times: int = 1 << 30
    """Requests that meet the fault; later ones are answered well."""


@dataclass
class StaticHost:
    """The running server."""

    root: Path
    port: int = 0
    ignores_range: bool = False
    is_chunked: bool = False
    """Bodies are sent in HTTP/1.1 chunks, without a length."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of each request."""
    conditions: list[str] = field(default_factory=list)
    """If-None-Match or If-Modified-Since of each conditional request."""
    unchanged: int = 0
    """Requests that were answered with 304."""
    has_etags: bool = True
    date: str | None = None
    """What it says for the time, when that is not the real one."""
    connections: int = 0
    is_tls: bool = False
    faults: dict[str, Fault] = field(default_factory=dict)
    stalls: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)
    """Set when those who wait for a fault's end go on."""

    @property
    def name(self) -> str:
        return "models.test"

    @property
    def url(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{self.name}:{self.port}/"

    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def heal(self) -> None:
        with self.lock:
            self.faults.clear()
            self.stalls.set()
            self.stalls = Event()

    def alter(self, path: str, position: int, *, mask: int = 0x01) -> None:
        """Serve a file with one byte changed."""
        data = bytearray((self.root / path).read_bytes())
        data[position] ^= mask
        self.faults[path] = Fault(body=bytes(data))

    def truncate(self, path: str, size: int) -> None:
        self.faults[path] = Fault(body=(self.root / path).read_bytes()[:size])

    def find_body(self, path: str) -> tuple[bytes | None, Fault]:
        # With the lock: a fault that was healed meanwhile must not come back.
        with self.lock:
            fault = self.faults.get(path, Fault())
            if fault.times <= 0:
                fault = Fault()
            elif path in self.faults:
                self.faults[path] = Fault(
                    **{**{name: getattr(fault, name) for name in Fault.__slots__}, "times": fault.times - 1}
                )
        if fault.body is not None:
            return fault.body, fault
        file = self.root / path
        return (file.read_bytes() if file.is_file() else None), fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = PATIENCE_S
    host: StaticHost

    def setup(self) -> None:
        super().setup()
        self.host.connections += 1

    def do_GET(self) -> None:
        path = self.path.removeprefix("/")
        self.host.requests.append((path, self.headers["Range"]))
        # Before the fault is looked up: what is healed from then on ends the stall.
        self.healed = self.host.stalls
        body, fault = self.host.find_body(path)
        if fault.status is not None or body is None:
            self._answer(fault.status or 404, b"" if fault.status == 304 else body or b"no such file", fault)
            return
        etag = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:16]}"'} if self.host.has_etags else {}
        condition = self.headers["If-None-Match"] or self.headers["If-Modified-Since"]
        if condition is not None:
            self.host.conditions.append(condition)
            if condition in {*etag.values(), dict(fault.fields).get("Last-Modified")}:
                self.host.unchanged += 1
                self._answer(304, b"", fault, **etag)
                return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
        if wanted is None or self.host.ignores_range:
            self._answer(200, body, fault, **etag)
            return
        first, last = int(wanted[1]), min(int(wanted[2]), len(body) - 1)
        if first >= len(body):
            self._answer(416, b"", fault, **{"Content-Range": f"bytes */{len(body)}"})
            return
        self._answer(
            206, body[first : last + 1], fault, **{**etag, "Content-Range": f"bytes {first}-{last}/{len(body)}"}
        )

    def _answer(self, status: int, body: bytes, fault: Fault, **fields: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", fault.content_type or "application/octet-stream")
        for name, value in [*fields.items(), *fault.fields]:
            self.send_header(name, value)
        if self.host.is_chunked and status != 304:
            self.send_header("Transfer-Encoding", "chunked")
        elif status != 304 and not fault.is_endless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send(status, body, fault)

    def _send(self, status: int, body: bytes, fault: Fault) -> None:
        if fault.is_endless:
            self.close_connection = True
            with suppress(ConnectionError):
                self.wfile.write(body)
                while True:
                    self.wfile.write(bytes(50_000))
        if fault.stall_after is not None:
            self.wfile.write(body[: fault.stall_after])
            self.healed.wait(PATIENCE_S)
            self.close_connection = True
            return
        if fault.pace is not None:
            self._trickle(body, fault.pace)
            return
        sent = body if fault.cut_after is None else body[: fault.cut_after]
        try:
            if self.host.is_chunked and status != 304:
                for start in range(0, len(sent), 50_000):
                    block = sent[start : start + 50_000]
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
                if len(sent) == len(body):
                    self.wfile.write(b"0\r\n\r\n")
            else:
                self.wfile.write(sent)
        except ConnectionError:
            self.close_connection = True
        if len(sent) < len(body):
            self.close_connection = True

    def _trickle(self, body: bytes, pace: Pace) -> None:
        start = 0
        try:
            while start < len(body) and (size := pace.take(len(body) - start)):
                self.wfile.write(body[start : start + size])
                start += size
        except ConnectionError:
            pass
        self.close_connection = start < len(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.host.date or super().date_time_string(timestamp)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address) -> None:
        """A client that leaves is no error of the host."""


@contextmanager
def static_host(root: Path, *, certificate: Path | None = None) -> Iterator[StaticHost]:
    """Serve a directory while the context is open; with a certificate (and its key in the same file) over TLS."""
    host = StaticHost(root, is_tls=certificate is not None)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"host": host}))
    host.port = server.server_address[1]
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        # The handshake belongs to the connection's thread, where a client that turns away harms nobody.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield host
    finally:
        host.heal()
        server.shutdown()
        thread.join()
        server.server_close()
