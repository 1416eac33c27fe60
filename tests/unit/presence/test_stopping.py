"""A process that is told to stop waits for nothing any more, whenever that was."""

import os
import select
import signal
import socket
import time

import pytest

from edged.presence.stopping import StopSignals

FOR_EVER_S = 3600.0
SOON_S = 60.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_came_before_the_wait_ends_it(number):
    with StopSignals() as signals:
        assert not signals.are_asked
        os.kill(os.getpid(), number)
        # Waits would take their whole time without it.
        assert select.select([signals._woken], [], [], SOON_S)[0]
        signals.wait(FOR_EVER_S)
        signals.wait(FOR_EVER_S)

        assert signals.are_asked


def test_a_socket_that_can_be_read_from_ends_the_wait_and_nothing_else():
    here, there = socket.socketpair()
    with StopSignals() as signals, here, there:
        there.send(b"x")
        signals.wait(FOR_EVER_S, here)

        assert not signals.are_asked


def test_while_nothing_comes_the_wait_takes_its_time():
    here, there = socket.socketpair()
    with StopSignals() as signals, here, there:
        for other in (None, here):
            began_s = time.monotonic()
            signals.wait(0.02, other)

            assert time.monotonic() - began_s >= 0.01


def test_what_was_done_at_signals_before_is_done_again_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before

    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.set_wakeup_fd(-1) == -1
