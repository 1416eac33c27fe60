"""Where the updater waits: time, signals, sockets and the watchdog, all real."""

import signal
import socket
from threading import Thread, Timer

import pytest

from edged.clock import SystemClock
from edged.update.protocol.asking import Apply, Check, Outcome, encode_packet
from edged.update.waits.waiting import ApplyAskedError, StopAskedError
from tests.fakes.controls import desk, is_dropped
from tests.fakes.gates import short_directory
from tests.fakes.waits import real_waits

LONG_S = 60.0


@pytest.fixture
def systemd(monkeypatch):
    with short_directory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(directory / "notify"))
        listener.settimeout(0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(directory / "notify"))
        yield listener


@pytest.fixture
def waits(systemd):
    with real_waits() as made:
        yield made


@pytest.fixture
def pair():
    ends = socket.socketpair()
    for end in ends:
        end.settimeout(0)
    yield ends
    for end in ends:
        end.close()


def soon():
    return SystemClock().monotonic_s() + LONG_S


def test_rest_ends_with_its_time(waits):
    assert waits.rest(0.01) is False


def test_nudge_ends_a_rest_also_when_it_came_before(waits):
    signal.raise_signal(signal.SIGUSR1)

    assert waits.rest(LONG_S) is True
    assert waits.rest(0.0) is False


@pytest.mark.parametrize("seconds", [LONG_S, None])
def test_signal_in_the_middle_of_a_rest_ends_it(waits, seconds):
    """The signal comes from another thread, while this one is in the system's call or on its way there."""
    timer = Timer(0.02, signal.raise_signal, [signal.SIGUSR1])
    timer.start()

    assert waits.rest(seconds) is True
    timer.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_ends_this_wait_and_every_later_one(waits, pair, number):
    signal.raise_signal(signal.SIGUSR1)
    signal.raise_signal(number)

    for seconds in (None, 0.0):
        with pytest.raises(StopAskedError):
            waits.rest(seconds)
    with pytest.raises(StopAskedError):
        waits.until_ready(pair[0], "write", deadline_s=soon())


def test_connection_is_waited_for(waits, pair):
    ours, theirs = pair
    timer = Timer(0.02, theirs.send, [b"x"])
    timer.start()

    waits.until_ready(ours, "read", deadline_s=soon())

    assert ours.recv(1) == b"x"
    timer.join()
    waits.until_ready(ours, "write", deadline_s=soon())


def test_connection_that_stays_silent_is_given_up(waits, pair):
    with pytest.raises(TimeoutError):
        waits.until_ready(pair[0], "read", deadline_s=SystemClock().monotonic_s() + 0.01)


def test_connection_that_is_ready_too_late_is_given_up(waits, pair):
    """Else a host could send one byte now and then, for ever."""
    pair[1].send(b"x")

    with pytest.raises(TimeoutError):
        waits.until_ready(pair[0], "read", deadline_s=SystemClock().monotonic_s() - 1.0)


def test_nudge_does_not_end_the_wait_for_a_connection_and_is_remembered(waits, pair):
    ours, theirs = pair
    signal.raise_signal(signal.SIGUSR1)
    theirs.send(b"x")

    waits.until_ready(ours, "read", deadline_s=soon())

    assert waits.rest(None) is True


def test_check_that_is_asked_for_ends_a_rest(systemd):
    with desk() as at, real_waits(door=at.control) as waits, at.connect() as peer:
        peer.send(encode_packet(Check()))

        assert waits.rest(None) is True
        assert waits.rest(None) is True  # until it is answered
        at.control.begin_check()
        at.control.end_check(Outcome())
        assert waits.rest(0.0) is False


def test_check_does_not_end_the_wait_for_a_connection(systemd, pair):
    with desk() as at, real_waits(door=at.control) as waits, at.connect() as peer:
        peer.send(encode_packet(Check()))
        with pytest.raises(TimeoutError):
            waits.until_ready(pair[0], "read", deadline_s=SystemClock().monotonic_s() + 0.05)

        assert at.control.is_check_asked


def test_who_brings_updates_ends_every_wait_until_they_have_their_turn(systemd, pair):
    """Also the wait for a refresh from the network that hangs."""
    with desk() as at, real_waits(door=at.control) as waits, at.connect() as peer:
        peer.send(encode_packet(Apply()))

        with pytest.raises(ApplyAskedError):
            waits.until_ready(pair[0], "read", deadline_s=soon())
        with pytest.raises(ApplyAskedError):
            waits.rest(None)
        at.control.begin_apply()
        assert waits.rest(0.0) is False


class Heard:
    """Takes what a connection brings."""

    def __init__(self, connection):
        self.connection = connection
        self.data = b""

    def sockets(self):
        return [self.connection]

    def attend(self, readable):
        if readable:
            self.data += self.connection.recv(100)


def test_something_else_is_attended_to_while_a_connection_is_waited_for(waits, pair):
    """And its word does not end that wait."""
    others = socket.socketpair()
    with others[0], others[1]:
        others[1].send(b"meanwhile")
        heard = Heard(others[0])
        with waits.attending(heard), pytest.raises(TimeoutError):
            waits.until_ready(pair[0], "read", deadline_s=SystemClock().monotonic_s() + 0.02)
        assert heard.data == b"meanwhile"

        others[1].send(b"afterwards")
        waits.rest(0.0)
        pair[1].send(b"x")
        waits.until_ready(pair[0], "read", deadline_s=soon())
        assert heard.data == b"meanwhile"


def test_silent_peer_is_dropped_in_the_middle_of_a_wait(systemd, monkeypatch):
    monkeypatch.setattr("edged.update.service.control.SAY_WITHIN_S", 0.02)
    with desk() as at, real_waits(door=at.control) as waits, at.connect() as peer:
        found = []

        def watch():
            found.append(is_dropped(peer))
            signal.raise_signal(signal.SIGUSR1)

        thread = Thread(target=watch)
        thread.start()

        assert waits.rest(LONG_S) is True

        thread.join()
        assert found == [True]


def test_signals_are_given_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]

    with real_waits():
        assert signal.getsignal(signal.SIGTERM) is not before[0]

    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)] == before


def test_watchdog_is_fed_in_every_kind_of_wait(systemd, pair):
    with real_waits({"WATCHDOG_USEC": "20000"}) as waits:
        waits.rest(0.05)
        assert drain(systemd) >= 2
        with pytest.raises(TimeoutError):
            waits.until_ready(pair[0], "read", deadline_s=SystemClock().monotonic_s() + 0.05)
        assert drain(systemd) >= 2


def test_watchdog_is_not_fed_more_often_than_it_asks_for(systemd):
    """However often the thread comes by."""
    with real_waits({"WATCHDOG_USEC": "120000000"}) as waits:
        for _ in range(10):
            waits.rest(0.0001)

    assert drain(systemd) == 1


def drain(systemd):
    """Count the pings that have come."""
    pings = 0
    while True:
        try:
            assert systemd.recv(100) == b"WATCHDOG=1"
        except BlockingIOError:
            return pings
        pings += 1
