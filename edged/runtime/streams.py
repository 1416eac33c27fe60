"""Frames of ``edged.runtime.wire`` over a connected SOCK_STREAM socket: blocking in a worker, on the event loop in the daemon."""

import asyncio
import socket
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from edged.runtime.wire import PREFIX, Buffer, WireError, decode, parse_prefix

M = TypeVar("M")

# Below this, copying parts together costs less than another system call.
JOIN_BYTES = 64 << 10


def read_frame(channel: socket.socket, decoder: msgspec.msgpack.Decoder[M]) -> tuple[M, bytearray] | None:
    """Wait for a frame; None when the other end has closed between frames.

    Raises:
        WireError: What came is not a frame, or ended inside one.
        OSError: The socket failed.
    """
    prefix = bytearray(PREFIX.size)
    if not (first := channel.recv_into(prefix)):
        return None
    _fill(channel, memoryview(prefix)[first:])
    head_bytes, payload_bytes = parse_prefix(prefix)
    head = bytearray(head_bytes)
    _fill(channel, memoryview(head))
    # Before the payload is received: a head that is refused costs no large buffer.
    message = decode(decoder, head, payload_bytes)
    payload = bytearray(payload_bytes)
    _fill(channel, memoryview(payload))
    return message, payload


def write_frame(channel: socket.socket, frame: Sequence[Buffer]) -> None:
    """Send a frame.

    Raises:
        OSError: The other end has closed.
    """
    for part in _joined(frame):
        channel.sendall(part)


async def receive_frame(channel: socket.socket, decoder: msgspec.msgpack.Decoder[M]) -> tuple[M, bytearray]:
    """Wait for a frame on a non-blocking socket.

    Raises:
        WireError: What came is not a frame, or the other end has closed.
        OSError: The socket failed.
    """
    loop = asyncio.get_running_loop()
    prefix = bytearray(PREFIX.size)
    await _fill_async(loop, channel, memoryview(prefix))
    head_bytes, payload_bytes = parse_prefix(prefix)
    head = bytearray(head_bytes)
    await _fill_async(loop, channel, memoryview(head))
    message = decode(decoder, head, payload_bytes)
    payload = bytearray(payload_bytes)
    await _fill_async(loop, channel, memoryview(payload))
    return message, payload


async def send_frame(channel: socket.socket, frame: Sequence[Buffer]) -> None:
    """Send a frame on a non-blocking socket.

    Raises:
        OSError: The other end has closed.
    """
    loop = asyncio.get_running_loop()
    for part in _joined(frame):
        await loop.sock_sendall(channel, part)


def _joined(frame: Sequence[Buffer]) -> Sequence[Buffer]:
    if sum(memoryview(part).nbytes for part in frame) <= JOIN_BYTES:
        return [b"".join(frame)]
    return frame


def _fill(channel: socket.socket, view: memoryview) -> None:
    while view:
        count = channel.recv_into(view)
        if not count:
            raise WireError("the channel was closed inside a frame")
        view = view[count:]


async def _fill_async(loop: asyncio.AbstractEventLoop, channel: socket.socket, view: memoryview) -> None:
    while view:
        count = await loop.sock_recv_into(channel, view)
        if not count:
            raise WireError("the channel was closed")
        view = view[count:]
