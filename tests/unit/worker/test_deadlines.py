"""Requests are stopped when their time has come, and nobody is woken for those that come later than another."""

import math

import pytest

from edged.worker.deadlines import Deadlines
from edged.worker.turns import Ticket


@pytest.fixture
def wakes():
    return []


@pytest.fixture
def deadlines(wakes):
    return Deadlines(lambda: wakes.append(1))


def ticket() -> Ticket:
    return Ticket(stop=None, rank=0)


def test_what_is_over_is_stopped_once_and_the_next_moment_is_told(deadlines):
    first, second, stopped = ticket(), ticket(), []
    deadlines.watch(first, 100)
    deadlines.watch(second, 200)

    assert deadlines.expire(99, stopped.append) == 100
    assert deadlines.expire(100, stopped.append) == 200
    assert stopped == [first]
    assert deadlines.expire(1000, stopped.append) == math.inf
    assert stopped == [first, second]


def test_what_has_ended_is_not_stopped(deadlines):
    item, stopped = ticket(), []
    deadlines.watch(item, 100)
    deadlines.forget(item)
    deadlines.forget(item)

    assert deadlines.expire(1000, stopped.append) == math.inf
    assert not stopped


def test_only_an_earlier_moment_than_the_one_that_is_waited_for_wakes_anybody(deadlines, wakes):
    deadlines.watch(ticket(), 500)
    assert len(wakes) == 1
    deadlines.expire(0, lambda _: None)
    deadlines.watch(ticket(), 600)
    deadlines.watch(ticket(), 500)
    assert len(wakes) == 1
    deadlines.watch(ticket(), 499)
    assert len(wakes) == 2


def test_what_comes_while_others_are_looked_at_wakes(deadlines, wakes):
    """Nothing is missed between looking and going to sleep."""
    deadlines.watch(ticket(), 100)
    wakes.clear()

    deadlines.expire(100, lambda _: deadlines.watch(ticket(), 10_000))
    assert wakes
    assert deadlines.expire(101, lambda _: None) == 10_000
