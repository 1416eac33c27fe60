"""Serve requests of the daemon: each connection is one request, answered from the endpoint of its model.

Nothing of a request or of an answer is logged, kept, or said in an error.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

from edged.offload.exchange import Asker, Endpoint
from edged.offload.messages import (
    LENGTH,
    Answered,
    Ask,
    Failed,
    MessageError,
    Traffic,
    decode_ask,
    decode_length,
    encode,
)
from edged.offload.oip import placed, read_answer, write_request
from edged.offload.reply import Count
from edged.offload.trouble import TroubleError

LOG = logging.getLogger(__name__)

READ_WITHIN_S: Final = 10.0
"""The daemon sends what it has already; longer is a fault."""
MAX_MESSAGE: Final = 2000


class OffloadService:
    """Serves a listening socket.

    Args:
        endpoints: By model.
        gate: The gate's socket.
        tls: How to verify endpoints.
        max_connections: Requests at a time; further ones are closed at once.
    """

    def __init__(
        self, endpoints: Mapping[str, Endpoint], *, gate: Path, tls: ssl.SSLContext, max_connections: int = 64
    ) -> None:
        self._askers = {model: Asker(endpoint, gate=gate, tls=tls) for model, endpoint in endpoints.items()}
        self._max_connections = max_connections
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set; what is under way then is given up.

        Args:
            listener: A listening Unix socket; it is closed on return, its file stays.
            stop: Ends the service.
        """
        # start_unix_server would unlink a path that belongs to systemd's socket unit (Python 3.13).
        server = await asyncio.start_server(self._accept, sock=listener)
        try:
            await stop.wait()
        finally:
            server.close()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for asker in self._askers.values():
                asker.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= self._max_connections:
            writer.close()
            return
        # A task of our own: asyncio logs an error for one of its that is cancelled (Python 3.11).
        task = asyncio.get_running_loop().create_task(self._attend(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                ask = decode_ask(await reader.readexactly(decode_length(await reader.readexactly(LENGTH.size))))
                asker = self._askers.get(ask.model)
                if asker is None:
                    writer.write(_failed(TroubleError("not-configured", "this model has no endpoint"), Count()))
                    return
                if sum(tensor.size for tensor in ask.inputs) > asker.endpoint.config.max_request_bytes:
                    writer.write(_failed(TroubleError("too-large", "it is larger than max_request_bytes"), Count()))
                    return
                tensors = [await reader.readexactly(tensor.size) for tensor in ask.inputs]
            answer = await _unless_left(_answer(asker, ask, tensors), reader)
            if answer is not None:
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, MessageError) as exc:  # TimeoutError is an OSError
            LOG.debug("a request ended early: %s", exc)
        finally:
            writer.close()


async def _answer(asker: Asker, ask: Ask, tensors: list[bytes]) -> bytes:
    count = Count()
    try:
        body, header_length = write_request(ask, tensors)
        async with asyncio.timeout(min(ask.timeout_s, asker.endpoint.config.timeout_s)):
            reply = await asker.ask(body, header_length, count=count)
        outputs = read_answer(reply.body, reply.header_length, ask.outputs)
    except TimeoutError:
        return _failed(TroubleError("late", "the endpoint did not answer in time"), count)
    except MessageError as exc:
        return _failed(TroubleError("nonsense", f"the endpoint's answer cannot be used: {exc}"), count)
    except TroubleError as exc:
        return _failed(exc, count)
    answered = Answered(outputs=tuple(map(placed, outputs)), traffic=_traffic(count))
    return encode(answered, [tensor.data for tensor in outputs])


async def _unless_left(answering: Coroutine[Any, Any, bytes], reader: asyncio.StreamReader) -> bytes | None:
    """Wait for an answer, but give it up when the daemon closes its end: nobody waits any more."""
    answer, leaving = asyncio.ensure_future(answering), asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None
    finally:
        for task in (answer, leaving):
            task.cancel()
        await asyncio.gather(answer, leaving, return_exceptions=True)


def _failed(error: TroubleError, count: Count) -> bytes:
    return encode(
        Failed(
            trouble=error.trouble,
            message=str(error)[:MAX_MESSAGE],
            retry_after_s=error.retry_after_s,
            traffic=_traffic(count),
        )
    )


def _traffic(count: Count) -> Traffic:
    return Traffic(sent_bytes=count.sent, received_bytes=count.received)
