"""The line before the model: how many at once, who is next, and how to leave it."""

import os
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from edged.errors import DeadlineError
from edged.worker.turns import Ticket, Turns
from tests.fakes.cores import ANY_CORES
from tests.fakes.patience import PATIENCE_S


def ticket(rank=0):
    return Ticket(threading.Event(), rank)


@pytest.fixture
def line():
    """Runs functions in threads of their own."""
    with ThreadPoolExecutor(8) as threads:
        yield threads.submit


def wait_until_in_line(turns, count):
    """Wait until so many threads are in line; whoever sleeps there cannot say so itself."""
    while True:
        with turns._lock:
            if len(turns._line) == count:
                return
        os.sched_yield()


def test_as_many_pass_at_once_as_there_are_turns(line):
    turns, holder = Turns(2, ANY_CORES), ticket()
    turns.enter(holder)
    turns.enter(ticket())

    third = line(turns.enter, ticket())
    wait_until_in_line(turns, 1)

    assert not third.done()
    turns.leave(holder)
    assert third.result(PATIENCE_S) is None


def test_the_smallest_rank_goes_first_and_equals_in_the_order_they_came(line):
    turns, holder = Turns(1, ANY_CORES), ticket()
    turns.enter(holder)
    passed = queue.SimpleQueue()

    def run(name, rank):
        mine = ticket(rank)
        turns.enter(mine)
        passed.put(name)
        turns.leave(mine)

    waiting = []
    for i, (name, rank) in enumerate([("late", 5), ("first of two", 1), ("second of two", 1), ("urgent", -3)]):
        waiting.append(line(run, name, rank))
        wait_until_in_line(turns, i + 1)
    turns.leave(holder)
    for run in waiting:
        run.result(PATIENCE_S)

    assert [passed.get() for _ in waiting] == ["urgent", "first of two", "second of two", "late"]


def test_a_run_that_waits_leaves_the_line_when_it_is_stopped(line):
    turns, holder = Turns(1, ANY_CORES), ticket()
    turns.enter(holder)
    stopped, patient = ticket(), ticket()
    first = line(turns.enter, stopped)
    wait_until_in_line(turns, 1)
    second = line(turns.enter, patient)
    wait_until_in_line(turns, 2)

    turns.stop(stopped)

    with pytest.raises(DeadlineError):
        first.result(PATIENCE_S)
    assert not second.done()
    turns.leave(holder)
    assert second.result(PATIENCE_S) is None


def test_a_run_that_was_stopped_before_gets_no_turn():
    turns = Turns(1, ANY_CORES)
    early = ticket()
    turns.stop(early)

    with pytest.raises(DeadlineError):
        turns.enter(early)
    turns.enter(ticket())  # the turn is still free


def test_a_run_that_has_a_turn_is_stopped_through_its_backend_and_keeps_the_turn_until_it_leaves(line):
    turns = Turns(1, ANY_CORES)
    running = ticket()
    turns.enter(running)

    turns.stop(running)
    following = line(turns.enter, ticket())
    wait_until_in_line(turns, 1)

    assert running.stop.is_set()
    assert not following.done()
    turns.leave(running)
    assert following.result(PATIENCE_S) is None


def test_a_turn_is_passed_on_by_a_run_that_got_it_while_it_was_stopped(line):
    """A turn that was given to a thread which has not woken up yet is not lost when its run is stopped in between."""
    turns, holder = Turns(1, ANY_CORES), ticket()
    turns.enter(holder)
    unlucky = ticket()
    first = line(turns.enter, unlucky)
    wait_until_in_line(turns, 1)

    with turns._lock:  # the thread cannot go on before both have happened
        turns._line.clear()
        unlucky.has_turn = unlucky.is_stopped = True
        unlucky.wake.release()

    with pytest.raises(DeadlineError):
        first.result(PATIENCE_S)
    assert len(turns._free) == 1


def test_time_in_line_is_known(line):
    turns = Turns(1, ANY_CORES)
    quick, slow = ticket(), ticket()
    turns.enter(quick)
    waiting = line(turns.enter, slow)
    wait_until_in_line(turns, 1)
    turns.leave(quick)
    waiting.result(PATIENCE_S)

    assert quick.waited_s == 0
    assert slow.waited_s > 0


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self, monkeypatch):
        self.now_s = 100.0
        monkeypatch.setattr("edged.worker.turns.time.monotonic", lambda: self.now_s)


def take_turns(turns, clock, *seconds):
    for taken_s in seconds:
        mine = ticket()
        turns.enter(mine)
        clock.now_s += taken_s
        turns.leave(mine)


def test_turns_are_short_once_many_in_a_row_were(monkeypatch):
    turns, clock = Turns(1, ANY_CORES), Clock(monkeypatch)
    assert not turns.is_short(), "nothing is known of a model that has not run"

    take_turns(turns, clock, *[0.0001] * 50)

    assert turns.is_short()


def test_one_long_turn_among_short_ones_is_remembered_for_a_while(monkeypatch):
    turns, clock = Turns(1, ANY_CORES), Clock(monkeypatch)
    take_turns(turns, clock, *[0.0001] * 50, 0.01, *[0.0001] * 5)
    assert not turns.is_short()

    take_turns(turns, clock, *[0.0001] * 50)
    assert turns.is_short()


def test_time_in_line_does_not_make_a_turn_long(line, monkeypatch):
    turns, clock = Turns(1, ANY_CORES), Clock(monkeypatch)
    take_turns(turns, clock, *[0.0001] * 50)
    holder, slow = ticket(), ticket()
    turns.enter(holder)
    waiting = line(turns.enter, slow)
    wait_until_in_line(turns, 1)
    turns.leave(holder)
    waiting.result(PATIENCE_S)
    clock.now_s += 0.0001
    slow.began_s = clock.now_s - 0.0001
    turns.leave(slow)

    assert turns.is_short()
