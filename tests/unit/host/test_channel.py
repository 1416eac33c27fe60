"""Datagrams over a real socket pair: order, limits, descriptors, and every way it can end."""

import asyncio
import os
import socket

import pytest

from edged.host.channel import MAX_PARTS, MAX_WAITING, Channel, make_pair
from edged.runtime.wire import MAX_DATAGRAM_BYTES, WireError
from tests.fakes.open_files import open_files

LARGEST = bytes(MAX_DATAGRAM_BYTES)


class Listener:
    """Keeps what a channel tells."""

    def __init__(self, raises_at=None):
        self.heard = []
        self.endings = []
        self.changed = asyncio.Event()
        self.raises_at = raises_at

    def received(self, datagram):
        self.heard.append(bytes(datagram))
        self.changed.set()
        if self.heard[-1] == self.raises_at:
            raise WireError("not this")

    def broken(self, error):
        self.endings.append(error)
        self.changed.set()

    async def wait_for(self, condition):
        async with asyncio.timeout(30):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def ends():
    ours, theirs = make_pair()
    theirs.settimeout(30)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
async def open_channel(ends):
    channels = []

    def make(listener):
        channel = Channel(ends[0], received=listener.received, broken=listener.broken)
        channels.append(channel)
        return channel

    yield make
    for channel in channels:
        channel.close()


async def test_datagrams_pass_both_ways_one_at_a_time(ends, open_channel):
    listener = Listener()
    channel = open_channel(listener)

    channel.send([b"one ", memoryview(b"datagram")])
    for data in (b"first", b"second", LARGEST):
        ends[1].send(data)
    await listener.wait_for(lambda it: len(it.heard) == 3)

    assert ends[1].recv(100) == b"one datagram"
    assert listener.heard == [b"first", b"second", LARGEST]
    assert listener.endings == []


async def test_the_largest_datagram_fits_into_the_buffers_of_a_pair(ends, open_channel):
    """Whatever the machine's default is: both ends are made for it."""
    open_channel(Listener()).send([LARGEST])

    assert ends[1].recv(len(LARGEST) + 1) == LARGEST


async def test_many_parts_make_one_datagram(ends, open_channel):
    """More than sendmsg takes at once."""
    open_channel(Listener()).send([b"%06d" % i for i in range(30 * MAX_PARTS)])

    assert ends[1].recv(MAX_DATAGRAM_BYTES) == b"".join(b"%06d" % i for i in range(30 * MAX_PARTS))


async def test_what_does_not_fit_now_is_sent_later_in_order_with_its_descriptors(ends, open_channel, tmp_path):
    channel = open_channel(Listener())
    file = os.open(tmp_path, os.O_RDONLY)
    changing = bytearray(LARGEST)
    for i in range(6):
        changing[0] = i
        channel.send([changing], [file] if i == 5 else [])
    changing[0] = 99  # the caller's again

    def read_all():
        return [socket.recv_fds(ends[1], MAX_DATAGRAM_BYTES, 1)[:2] for _ in range(6)]

    received = await asyncio.to_thread(read_all)

    assert [data[0] for data, _ in received] == list(range(6))
    assert [len(descriptors) for _, descriptors in received] == [0, 0, 0, 0, 0, 1]
    assert os.fstat(received[-1][1][0]).st_ino == os.fstat(file).st_ino
    for descriptor in (file, *received[-1][1]):
        os.close(descriptor)


async def test_one_that_does_not_read_breaks_the_channel_and_sending_never_does(open_channel):
    listener = Listener()
    channel = open_channel(listener)

    for _ in range(MAX_WAITING + 10):
        channel.send([bytes(100_000)[:1000]])
    channel.send([bytes(150_000)])
    for _ in range(MAX_WAITING + 10):
        channel.send([b"more"])

    assert listener.endings == []
    await listener.wait_for(lambda it: it.endings)
    (error,) = listener.endings
    assert "does not read" in str(error)
    channel.send([b"ignored"])


async def test_a_datagram_that_is_too_large_breaks_the_channel(ends, open_channel):
    listener = Listener()
    open_channel(listener)
    ends[1].send(LARGEST + b"x")

    await listener.wait_for(lambda it: it.endings)

    assert isinstance(listener.endings[0], WireError)
    assert listener.heard == []


async def test_a_datagram_that_is_not_taken_breaks_the_channel_once_and_for_all(ends, open_channel):
    listener = Listener(raises_at=b"bad")
    channel = open_channel(listener)
    for data in (b"good", b"bad", b"good"):
        ends[1].send(data)

    await listener.wait_for(lambda it: it.endings)
    channel.drain()

    assert listener.heard == [b"good", b"bad"]
    assert str(listener.endings[0]) == "not this"
    assert len(listener.endings) == 1


async def test_an_end_comes_after_what_was_said_before(ends, open_channel):
    listener = Listener()
    open_channel(listener)
    ends[1].send(b"last words")
    ends[1].close()

    await listener.wait_for(lambda it: it.endings)

    assert listener.heard == [b"last words"]
    assert listener.endings == [None]


async def test_last_words_are_heard_although_the_other_end_left_something_unread(ends, open_channel):
    """The kernel then reports a reset before it hands out what came earlier."""
    listener = Listener()
    channel = open_channel(listener)
    channel.send([b"never read"])
    ends[1].send(b"last words")
    ends[1].close()
    channel.send([b"too late"])

    await listener.wait_for(lambda it: it.endings)

    assert listener.heard == [b"last words"]
    assert listener.endings == [None]


async def test_draining_takes_everything_at_once(ends, open_channel):
    listener = Listener()
    channel = open_channel(listener)
    for i in range(5):
        ends[1].send(b"%d" % i)

    channel.drain()

    assert listener.heard == [b"0", b"1", b"2", b"3", b"4"]
    assert listener.endings == []


async def test_an_empty_datagram_is_the_end(ends, open_channel):
    """It cannot be told from one, so it is none of the protocol."""
    listener = Listener()
    open_channel(listener)
    ends[1].send(b"")

    await listener.wait_for(lambda it: it.endings)

    assert listener.endings == [None]


async def test_closing_from_within_a_call_is_the_last_one(ends, open_channel):
    listener = Listener()
    channel = open_channel(listener)
    heard = listener.received

    def close_at_once(datagram):
        heard(datagram)
        channel.close()

    channel._received = close_at_once
    ends[1].send(b"first")
    ends[1].send(b"second")
    channel.drain()

    assert listener.heard == [b"first"]
    assert listener.endings == []


async def test_descriptors_from_the_other_end_are_dropped(ends, open_channel):
    """A worker must not be able to fill our table of open files."""
    listener = Listener()
    open_channel(listener)
    before = open_files()
    socket.send_fds(ends[1], [b"a gift"], [0, 1, 2])

    await listener.wait_for(lambda it: it.heard)

    assert listener.heard == [b"a gift"]
    assert open_files() == before
