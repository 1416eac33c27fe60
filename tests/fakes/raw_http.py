"""An API server for tests and a client that sends bytes exactly as given."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from edged.api.app import make_app
from edged.api.connection.gate import Gate
from edged.api.connection.serve import serve_sites
from edged.api.endpoints.metrics import Metrics
from edged.api.limits import LiveLimits
from edged.api.oip.infer import Services
from edged.callers.quotas import Quotas
from edged.clock import SystemClock
from edged.config.schema import CallerLimits, LimitsConfig, ServeConfig
from tests.fakes.fake_models import FakeModels
from tests.fakes.flags import FakeFlags
from tests.fakes.patience import PATIENCE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A response as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, *, has_body: bool = True) -> Reply:
        """Read one response."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status_line, *lines = head.decode("latin-1").strip().split("\r\n")
            headers = {key.lower(): value.strip() for key, value in (line.split(":", 1) for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0))) if has_body else b""
        return Reply(status=int(status_line.split()[1]), headers=headers, body=body)

    async def ask(self, data: bytes) -> Reply:
        """Send bytes, read one response."""
        await self.send(data)
        return await self.reply()

    async def is_closed(self) -> bool:
        """Wait for the server to close the connection; what it still sends is dropped."""
        async with asyncio.timeout(PATIENCE_S):
            with suppress(ConnectionError):
                while await self.reader.read(65536):
                    pass
        return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass(slots=True, kw_only=True)
class Server:
    """A running API server and what it was made of."""

    path: Path
    models: FakeModels
    limits: LiveLimits
    gate: Gate

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[RawClient]:
        reader, writer = await asyncio.open_unix_connection(self.path, limit=1 << 24)
        client = RawClient(reader, writer)
        try:
            yield client
        finally:
            await client.close()

    async def is_left_alone(self) -> bool:
        """Wait until the server has seen every connection end."""
        async with asyncio.timeout(PATIENCE_S):
            while self.gate.connections:  # noqa: ASYNC110 - the gate counts and tells nobody
                await asyncio.sleep(0)
        return True

    async def ask(self, data: bytes) -> Reply:
        """Send bytes on a new connection, read one response."""
        async with self.connect() as client:
            return await client.ask(data)


def listening(path: Path) -> socket.socket:
    """Return a listening Unix socket at a path."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    sock.listen(100)
    return sock


@asynccontextmanager
async def running(
    path: Path,
    *,
    models: FakeModels | None = None,
    flags: FakeFlags | None = None,
    listener: socket.socket | None = None,
    drain_s: float = 5.0,
    caller: CallerLimits | None = None,
    routes: Iterable[web.AbstractRouteDef] = (),
    **limits: object,
) -> AsyncIterator[Server]:
    """Serve fake models on a socket.

    Args:
        path: Of the socket.
        models: What answers.
        flags: Feature flags; by default one that is on.
        listener: Bound to that path; made when it is not given, and closed at the end in any case.
        drain_s: Seconds that requests under way may take when the context is left.
        caller: What each caller may ask for; by default more than any test does.
        routes: Further ones.
        limits: Fields of ``ServeConfig``.
    """
    models = models or FakeModels()
    live = LiveLimits(ServeConfig(**limits))
    callers = LimitsConfig(default=caller or CallerLimits(max_concurrent=1000, max_queued_bytes=1 << 40))
    quotas = Quotas(lambda: callers, SystemClock())
    services = Services(models=models, usage=models, quotas=quotas, limits=live)
    metrics = Metrics(usage=models, connections=dict, reviews=dict, shadows=dict, started_unix_s=0.0)
    app = make_app(
        models=models, status=models, usage=models, metrics=metrics, flags=flags or FakeFlags(fast=True), routes=routes
    )
    async with serve_sites(app, services, [listener or listening(path)], drain_s=drain_s) as gate:
        yield Server(path=path, models=models, limits=live, gate=gate)


def request(method: str, path: str, *, body: bytes = b"", headers: str = "") -> bytes:
    """Write a request; ``headers`` are whole lines."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode("latin-1") + body


def post(path: str, value: object, *, headers: str = "") -> bytes:
    """Write a POST of JSON."""
    return request("POST", path, body=json.dumps(value).encode(), headers=headers)
