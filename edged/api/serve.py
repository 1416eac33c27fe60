"""Serve an application on sockets that already listen, and stop without cutting anyone off."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from edged.api.guard import LINGER_S, Gate
from edged.api.limits import LiveLimits

KEEPALIVE_S: Final = 75.0
"""How long an idle connection stays open."""
FIRST_REQUEST_S: Final = 1.0
"""How long, at the end, a connection that has just been made may take to ask its first question."""


@asynccontextmanager
async def serve_sites(
    app: web.Application, sockets: Sequence[socket.socket], limits: LiveLimits, *, drain_s: float
) -> AsyncIterator[Gate]:
    """Serve for as long as the context lasts.

    Leaving it stops listening, lets whoever is connected already ask a first question, closes connections that were idle before, and
    gives requests under way ``drain_s`` seconds to finish before they are cancelled.

    Args:
        app: What to serve.
        sockets: Listening stream sockets; closed at the end. Their connections share one cap.
        limits: What the guards of the connections enforce.
        drain_s: Seconds.

    Yields:
        The gate, which knows how many connections there are.
    """
    runner = web.AppRunner(
        app,
        # A client that leaves cancels its request; aiohttp's default is to finish it for nobody.
        handler_cancellation=True,
        access_log=None,
        # Errors that reach aiohttp itself are those of peers; edged's own are logged where they are answered.
        logger=logging.getLogger("edged.api.aiohttp"),
        keepalive_timeout=KEEPALIVE_S,
        lingering_time=LINGER_S,
        shutdown_timeout=drain_s,
        auto_decompress=False,
    )
    await runner.setup()
    make_inner = runner.server
    assert make_inner is not None  # noqa: S101 - narrows the type; setup() has just made it
    gate = Gate(make_inner, limits)
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    try:
        for sock in sockets:
            servers.append(await loop.create_server(gate, sock=sock))  # noqa: PERF401 - each one made is closed below
        yield gate
    finally:
        for server in servers:
            server.close()
        await gate.hear_out(timeout_s=min(FIRST_REQUEST_S, drain_s))
        await runner.cleanup()
