"""A deadline that is moved often: late when it should be, and with few timers."""

import heapq
import itertools

import pytest

from edged.api.http.deadline import Deadline


class Timer:
    def __init__(self, at_s, callback):
        self.at_s = at_s
        self.callback = callback

    def when(self):
        return self.at_s

    def cancel(self):
        self.callback = None


class FakeLoop:
    """The two methods of an event loop that a deadline uses, and a clock that a test moves."""

    def __init__(self):
        self.now_s = 100.0
        self.timers = []
        self.made = 0
        self._numbers = itertools.count()

    def time(self):
        return self.now_s

    def call_at(self, at_s, callback):
        timer = Timer(at_s, callback)
        heapq.heappush(self.timers, (at_s, next(self._numbers), timer))
        self.made += 1
        return timer

    def advance(self, seconds):
        end_s = self.now_s + seconds
        while self.timers and self.timers[0][0] <= end_s:
            self.now_s, _, timer = heapq.heappop(self.timers)
            if timer.callback is not None:
                timer.callback()
        self.now_s = end_s


@pytest.fixture
def loop():
    return FakeLoop()


@pytest.fixture
def late(loop):
    """When it was late."""
    return []


@pytest.fixture
def deadline(loop, late):
    return Deadline(loop, lambda: late.append(loop.now_s))


def test_it_is_late_once_when_the_time_is_over(loop, late, deadline):
    deadline.set(5)
    loop.advance(100)

    assert late == [105.0]


def test_moving_it_again_and_again_makes_one_timer(loop, late, deadline):
    for _ in range(1000):
        deadline.set(75)
        loop.advance(0.01)

    assert (late, loop.made) == ([], 1)


def test_moved_to_later_it_is_late_at_the_later_time(loop, late, deadline):
    deadline.set(5)
    loop.advance(4)
    deadline.set(5)
    loop.advance(100)

    assert late == [109.0]


def test_moved_to_earlier_it_is_late_at_the_earlier_time(loop, late, deadline):
    deadline.set(75)
    deadline.set(2)
    loop.advance(100)

    assert late == [102.0]


def test_cleared_it_is_never_late_and_can_be_set_again(loop, late, deadline):
    deadline.set(5)
    deadline.clear()
    loop.advance(50)
    assert late == []

    deadline.set(5)
    loop.advance(50)
    assert late == [155.0]


def test_ended_it_lets_go_of_the_loop(loop, late, deadline):
    deadline.set(5)
    deadline.end()

    assert all(timer.callback is None for _, _, timer in loop.timers)
    loop.advance(50)
    assert late == []
