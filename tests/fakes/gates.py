"""The real gate in a thread of the test, for blocking clients. Only its resolver is made up: every name is this machine."""

import asyncio
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from edged.config.schema import EgressConfig
from edged.egress.policy import parse_policy
from edged.egress.proxy import Gate, GateLimits, Resolver
from edged.sockets import bind_unix

LIMITS = GateLimits(connect_timeout_s=60.0, idle_timeout_s=60.0, max_connections=8)


@dataclass(frozen=True)
class RunningGate:
    """Where it listens, and the gate itself for its counters."""

    path: Path
    gate: Gate


async def resolve_here(name: str, port: int) -> list[str]:
    return ["127.0.0.1"]


async def resolve_nothing(name: str, port: int) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@contextmanager
def short_directory() -> Iterator[Path]:
    """Make a directory whose path leaves room for a socket's name in 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="edged-", dir="/tmp") as name:
        yield Path(name)


@contextmanager
def running_gate(
    *,
    allow: Sequence[str] = (),
    allow_private: Sequence[str] = (),
    limits: GateLimits = LIMITS,
    is_metered: bool | None = None,
    resolve: Resolver = resolve_here,
) -> Iterator[RunningGate]:
    """Run a gate while the context is open."""
    policy = parse_policy(EgressConfig(allow=tuple(allow), allow_private=tuple(allow_private)))
    gate = Gate(policy=policy, limits=limits, is_metered=is_metered, resolve=resolve)
    started = Event()
    handles = {}

    async def serve(listener: socket.socket) -> None:
        stop = asyncio.Event()
        handles.update(loop=asyncio.get_running_loop(), stop=stop)
        started.set()
        await gate.run(listener, stop, drain_s=0.0)

    with short_directory() as directory:
        path = directory / "proxy.sock"
        listener = bind_unix(path, mode=0o600)
        thread = Thread(target=lambda: asyncio.run(serve(listener)))
        thread.start()
        try:
            assert started.wait(60)
            yield RunningGate(path, gate)
        finally:
            handles["loop"].call_soon_threadsafe(handles["stop"].set)
            thread.join()
