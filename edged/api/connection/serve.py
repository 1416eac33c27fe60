"""Serve an application on sockets that already listen, and stop without cutting anyone off."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from edged.api.connection.gate import Gate
from edged.api.http.line import LINGER_S
from edged.api.oip.infer import Services

FIRST_REQUEST_S: Final = 1.0
"""How long, at the end, a connection that has just been made may take to ask its first question."""
_NEVER_S: Final = 1e9
"""Longer than any process runs: idle connections are the guards' business."""
_TURNS_TO_CONNECT: Final = 5


@asynccontextmanager
async def serve_sites(
    app: web.Application, services: Services, sockets: Sequence[socket.socket], *, drain_s: float
) -> AsyncIterator[Gate]:
    """Serve for as long as the context lasts.

    Leaving it stops listening, lets whoever is connected already ask a first question, closes connections that were idle before, and
    gives requests under way ``drain_s`` seconds to finish before they are cancelled.

    Args:
        app: What answers all that is no inference.
        services: What inferences need, and the limits that the guards of the connections enforce.
        sockets: Listening stream sockets; closed at the end. Their connections share one cap.
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
        keepalive_timeout=_NEVER_S,
        lingering_time=LINGER_S,
        # Whatever is still under way then has been given up by its guard.
        shutdown_timeout=0,
        auto_decompress=False,
    )
    await runner.setup()
    make_inner = runner.server
    assert make_inner is not None  # noqa: S101 - narrows the type; setup() has just made it
    gate = Gate(make_inner, services)
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    try:
        for sock in sockets:
            # Listening again sets the backlog anew, and asyncio's own choice is 100: too few for a restart with many apps.
            server = await loop.create_server(gate, sock=sock, backlog=socket.SOMAXCONN)
            servers.append(server)
        yield gate
    finally:
        await _stop_accepting(servers, sockets)
        await gate.see_out(hear_s=min(FIRST_REQUEST_S, drain_s), drain_s=drain_s)
        await runner.cleanup()


async def _stop_accepting(servers: Sequence[asyncio.Server], sockets: Sequence[socket.socket]) -> None:
    """Let nobody in any more, and drop nobody who was: asyncio does not make connections for a server that was closed meanwhile."""
    loop = asyncio.get_running_loop()
    for sock in sockets:
        loop.remove_reader(sock)
    # What was accepted a moment ago becomes a guard in one of the loop's next turns.
    for _ in range(_TURNS_TO_CONNECT):
        await asyncio.sleep(0)
    for server in servers:
        server.close()
