"""Threads and what they wait for: every message is taken once, in order, and worked on beside others."""

import errno
import socket
import threading
from queue import SimpleQueue

import pytest

from edged.worker.pool import Pool
from tests.fakes.patience import PATIENCE_S


class Channel:
    """Messages are names; the work on one tells its name, and may wait."""

    def __init__(self, done):
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.taken = []
        self.inside = 0
        self.most_inside = 0
        self.gates = {}
        self.gone = threading.Event()
        """Set when it was removed."""
        self.hurdle = None
        """Where somebody who takes a message waits, coming and going, if that is set."""
        self._done = done

    is_serial = False

    def fileno(self):
        return self.far.fileno()

    def receive(self, buffer):
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        if self.hurdle is not None:
            self.hurdle.wait(PATIENCE_S)
            self.hurdle.wait(PATIENCE_S)
        try:
            size = self.far.recv_into(buffer, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self.inside -= 1
            return lambda: None
        name = bytes(buffer[:size]).decode()
        self.taken.append(name)
        self.inside -= 1
        return (lambda: self.work(name)) if size else None

    def removed(self):
        assert not self.inside, "somebody is in it still"
        assert not self.gone.is_set(), "it is removed twice"
        self.gone.set()

    def work(self, name):
        if name == "bad":
            raise KeyError(name)
        if (gate := self.gates.get(name)) is not None:
            gate.wait()
        self._done.put(name)

    def close(self):
        self.near.close()
        self.far.close()


@pytest.fixture
def done():
    return SimpleQueue()


@pytest.fixture
def failures():
    return SimpleQueue()


@pytest.fixture
def channel(done):
    channel = Channel(done)
    yield channel
    channel.close()


@pytest.fixture
def pool(failures, channel):  # which is there for as long as the threads are
    before = set(threading.enumerate())
    pool = Pool(threads=3, failed=lambda: failures.put("failed"))
    pool.start()
    yield pool
    pool.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_messages_are_taken_once_in_their_order_by_one_thread_at_a_time(pool, channel, done):
    names = [str(i) for i in range(300)]
    pool.add(channel)
    for name in names:
        channel.near.send(name.encode())

    assert sorted(done.get(timeout=PATIENCE_S) for _ in names) == sorted(names)
    assert channel.taken == names
    assert channel.most_inside == 1


def test_the_work_on_messages_goes_on_beside_each_other(pool, channel, done):
    """Each waits until the next has come; with one thread nobody would ever end."""
    channel.gates = {"first": threading.Event(), "second": threading.Event()}
    pool.add(channel)
    channel.near.send(b"first")
    channel.near.send(b"second")
    channel.near.send(b"third")

    assert done.get(timeout=PATIENCE_S) == "third"
    for name in ("second", "first"):
        channel.gates[name].set()
        assert done.get(timeout=PATIENCE_S) == name


def test_further_sources_may_come_at_any_time_and_go(pool, channel, done):
    other = Channel(done)
    pool.add(channel)
    channel.near.send(b"a")
    assert done.get(timeout=PATIENCE_S) == "a"

    pool.add(other)
    other.near.send(b"b")
    assert done.get(timeout=PATIENCE_S) == "b"
    other.near.close()
    channel.near.send(b"c")
    assert done.get(timeout=PATIENCE_S) == "c"
    other.close()


def test_a_source_that_has_ended_is_not_asked_again(pool, channel, done):
    ended = Channel(done)
    pool.add(ended)
    pool.add(channel)
    ended.near.close()
    for _ in range(20):
        channel.near.send(b"x")
        done.get(timeout=PATIENCE_S)

    assert ended.taken == [""]
    assert ended.gone.wait(PATIENCE_S)
    ended.close()


def test_a_source_is_removed_at_once_when_nobody_is_in_it(pool, channel):
    pool.add(channel)

    pool.remove(channel)
    assert channel.gone.is_set()
    channel.near.send(b"unread")
    pool.remove(channel)
    assert channel.far.recv(10) == b"unread"


def test_a_source_that_a_thread_is_in_is_removed_when_that_has_its_message(pool, channel, done):
    channel.hurdle = threading.Barrier(2)
    pool.add(channel)
    channel.near.send(b"last")
    channel.hurdle.wait(PATIENCE_S)
    pool.remove(channel)
    assert not channel.gone.is_set()

    channel.near.send(b"unread")
    channel.hurdle.wait(PATIENCE_S)

    assert done.get(timeout=PATIENCE_S) == "last"
    assert channel.gone.is_set()
    assert channel.far.recv(10) == b"unread"


def test_sources_that_come_and_go_while_messages_arrive_lose_none(pool, channel, done):
    """What is not taken is there for whoever has the source next, and nobody is ever in it twice."""
    names = [str(i) for i in range(200)]
    for name in names:
        pool.add(channel)
        channel.near.send(name.encode())
        pool.remove(channel)
        assert channel.gone.wait(PATIENCE_S)
        channel.gone.clear()
    pool.add(channel)

    assert sorted(done.get(timeout=PATIENCE_S) for _ in names) == sorted(names)
    assert channel.taken == names
    assert channel.most_inside == 1


def test_an_error_nobody_foresaw_is_told_at_once(pool, channel, failures):
    pool.add(channel)
    channel.near.send(b"bad")

    assert failures.get(timeout=PATIENCE_S) == "failed"


def test_a_thread_that_has_no_memory_for_messages_is_told_of(failures, monkeypatch):
    """It would be missing, and nobody would notice."""

    def refuse(*_):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("edged.worker.pool.mmap.mmap", refuse)
    pool = Pool(threads=1, failed=lambda: failures.put("failed"))
    pool.start()

    assert failures.get(timeout=PATIENCE_S) == "failed"
    pool.close()


def test_threads_that_are_busy_end_when_they_are_done(pool, channel, done):
    channel.gates = {"long": threading.Event()}
    pool.add(channel)
    channel.near.send(b"long")
    channel.near.send(b"short")
    assert done.get(timeout=PATIENCE_S) == "short"

    pool.close()
    channel.gates["long"].set()

    assert done.get(timeout=PATIENCE_S) == "long"
