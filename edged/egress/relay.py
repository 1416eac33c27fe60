"""Carry bytes both ways between two connections until both sides are done or nothing has moved for too long."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

BLOCK_BYTES: Final = 1 << 16
CLOSE_S: Final = 1.0
"""How long a peer may take to read the last bytes."""


@dataclass(frozen=True, slots=True)
class Stream:
    """The two halves of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def close(self) -> None:
        """Close the connection; a peer that is already gone is no error, one that does not read is cut off."""
        self.writer.close()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.writer.wait_closed()
        except TimeoutError:
            self.writer.transport.abort()
        except OSError:
            return  # it is gone


async def relay(near: Stream, far: Stream, *, idle_timeout_s: float, on_bytes: Callable[[int], None]) -> None:
    """Copy in both directions; the end of one direction is passed on and the other goes on (half-close).

    Args:
        near: The client.
        far: The destination.
        idle_timeout_s: Longest time in which neither direction moves a byte.
        on_bytes: Told about every block that was passed on.

    Raises:
        TimeoutError: Nothing moved for ``idle_timeout_s``.
        OSError: A connection broke.
    """
    clock = asyncio.get_running_loop().time
    async with asyncio.timeout(idle_timeout_s) as limit:

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while block := await source.read(BLOCK_BYTES):
                sink.write(block)
                await sink.drain()
                on_bytes(len(block))
                if not limit.expired():
                    limit.reschedule(clock() + idle_timeout_s)
            if sink.can_write_eof():
                sink.write_eof()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(copy(near.reader, far.writer))
                group.create_task(copy(far.reader, near.writer))
        except BaseExceptionGroup as broken:
            raise broken.exceptions[0] from None
