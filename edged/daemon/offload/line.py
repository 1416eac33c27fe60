"""One request on a connection of its own with ``edged-offload``, whose answers are believed no more than a caller's requests."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from edged.offload.messages import (
    LENGTH,
    Answered,
    Ask,
    Failed,
    MessageError,
    decode_length,
    decode_outcome,
    encode,
)
from edged.pipeline.datatypes import Buffer


class UnusableError(Exception):
    """What came back is no answer to the request."""


async def ask_process(
    socket: Path, ask: Ask, tensors: Sequence[Buffer], *, max_bytes: int
) -> tuple[Answered | Failed, list[bytes]]:
    """Ask, and wait for the answer; being cancelled tells the other process to stop.

    Args:
        socket: Where it listens.
        ask: What is wanted.
        tensors: The bytes of its inputs; they are copied before this waits for anything.
        max_bytes: Most bytes that are taken of the outputs together.

    Returns:
        The outcome, and the bytes of its outputs.

    Raises:
        UnusableError: It is no answer.
        OSError: Nobody answers.
    """
    message = encode(ask, tensors)
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(message)
        await writer.drain()
        outcome = decode_outcome(await reader.readexactly(decode_length(await reader.readexactly(LENGTH.size))))
        placed = outcome.outputs if isinstance(outcome, Answered) else ()
        if sum(tensor.size for tensor in placed) > max_bytes:
            raise UnusableError("more bytes than the endpoint may send")
        return outcome, [await reader.readexactly(tensor.size) for tensor in placed]
    except (MessageError, asyncio.IncompleteReadError) as exc:
        raise UnusableError(str(exc)) from exc
    finally:
        writer.transport.abort()
