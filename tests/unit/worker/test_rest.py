"""When a worker rests: once nothing was asked for a while, and then not again before something was."""

import threading

import pytest

from edged.worker.rest import LOOK_S, REST_S, Rest
from edged.worker.turns import Ticket, Turns
from tests.fakes.clocks import ManualClock
from tests.fakes.cores import ANY_CORES


class Worker:
    """Runs that come, looks that the time brings, and how often it rested."""

    def __init__(self):
        self.rested = 0
        self._clock = ManualClock()
        self._turns = Turns(1, ANY_CORES)
        self._rest = Rest(self._turns, self._settle, clock=self._clock.monotonic_s)

    def _settle(self):
        self.rested += 1

    def run(self):
        self.end(self.begin())

    def begin(self):
        ticket = Ticket(threading.Event(), 0)
        self._turns.enter(ticket)
        return ticket

    def end(self, ticket):
        self._turns.leave(ticket)

    def wait(self, seconds):
        """Let time pass, with the looks in it."""
        for _ in range(int(seconds / LOOK_S)):
            self._clock.advance(LOOK_S)
            self._rest.look()


@pytest.fixture
def worker():
    return Worker()


def test_a_worker_that_was_never_asked_has_nothing_to_give_back(worker):
    worker.wait(10 * REST_S)

    assert worker.rested == 0


def test_a_worker_rests_once_when_nothing_was_asked_for_a_while(worker):
    worker.run()
    worker.wait(REST_S)
    assert worker.rested == 0

    worker.wait(10 * REST_S)
    assert worker.rested == 1


def test_a_worker_that_is_asked_now_and_then_does_not_rest(worker):
    for _ in range(10):
        worker.run()
        worker.wait(REST_S)

    assert worker.rested == 0


def test_a_worker_does_not_rest_during_a_long_run_but_after_it(worker):
    run = worker.begin()
    worker.wait(10 * REST_S)
    assert worker.rested == 0

    worker.end(run)
    worker.wait(REST_S)
    assert worker.rested == 1


def test_a_worker_rests_again_after_it_was_asked_again(worker):
    for _ in range(3):
        worker.run()
        worker.wait(2 * REST_S)

    assert worker.rested == 3
