"""Frames over a real socket pair, blocking on one end and on the event loop at the other."""

import asyncio
import socket
import threading

import pytest

from edged.runtime.streams import read_frame, receive_frame, send_frame, write_frame
from edged.runtime.wire import (
    FROM_WORKER,
    PREFIX,
    TO_WORKER,
    Infer,
    Inferred,
    Loaded,
    TensorHead,
    WireError,
    encode,
)

LARGE = 16 << 20


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    theirs.settimeout(30)
    with ours, theirs:
        yield ours, theirs


def head(size):
    return (TensorHead(name="x", dtype="UINT8", shape=(size,), size=size),)


def echo(channel):
    """Be a worker that gives back what it is given."""
    while (frame := read_frame(channel, TO_WORKER)) is not None:
        message, payload = frame
        write_frame(channel, encode(Inferred(request=message.request, tensors=message.tensors, run_s=0), [payload]))


@pytest.mark.parametrize("size", [0, 1, 70_000, LARGE])
async def test_frames_of_any_size_pass_both_ways(pair, size):
    ours, theirs = pair
    thread = threading.Thread(target=echo, args=(theirs,))
    thread.start()
    data = bytes(range(256)) * (size // 256 + 1)

    async with asyncio.timeout(30):
        await send_frame(ours, encode(Infer(request=5, tensors=head(size)), [memoryview(data)[:size]]))
        message, payload = await receive_frame(ours, FROM_WORKER)
    ours.close()
    thread.join(30)

    assert message == Inferred(request=5, tensors=head(size), run_s=0)
    assert payload == data[:size]


def test_a_channel_closed_between_frames_is_the_end(pair):
    ours, theirs = pair
    ours.close()

    assert read_frame(theirs, TO_WORKER) is None


@pytest.mark.parametrize("cut", [1, PREFIX.size, PREFIX.size + 3])
def test_a_channel_closed_inside_a_frame_is_an_error(pair, cut):
    ours, theirs = pair
    ours.send(b"".join(encode(Infer(request=1, tensors=head(3)), [b"abc"]))[:cut])
    ours.close()

    with pytest.raises(WireError, match="inside a frame"):
        read_frame(theirs, TO_WORKER)


async def test_a_worker_that_closes_is_an_error(pair):
    ours, theirs = pair
    theirs.close()

    with pytest.raises(WireError, match="closed"):
        await receive_frame(ours, FROM_WORKER)


async def test_a_payload_is_not_received_for_a_head_that_is_refused(pair):
    """A worker that claims a gigabyte it has not explained gets no buffer for it."""
    ours, theirs = pair
    body = encode(Loaded(load_s=0, runtime=""))[0][PREFIX.size :]
    theirs.send(PREFIX.pack(len(body), 1 << 28) + body)

    with pytest.raises(WireError, match="payload has"):
        await receive_frame(ours, FROM_WORKER)
