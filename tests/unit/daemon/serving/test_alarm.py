"""One timer for many deadlines: it rings for the earliest, and says a time at which that has come."""

import math

import pytest

from edged.daemon.serving.alarm import Alarm
from tests.fakes.served_workers import HeldTime


@pytest.fixture
async def time(monkeypatch):
    return HeldTime(monkeypatch)


@pytest.fixture
async def rung():
    return []


@pytest.fixture
async def alarm(time, rung):
    return Alarm(rung.append)


async def test_alarm_rings_once_for_the_earliest_moment(alarm, rung, time):
    start_s = time.now_s
    for after_s in (5.0, 3.0, 9.0):
        alarm.watch(start_s + after_s)
    await time.pass_s(2.9)
    assert rung == []
    await time.pass_s(0.1)
    await time.pass_s(60.0)

    assert rung == [start_s + 3.0]


async def test_alarm_that_rang_watches_what_it_is_told_next(alarm, rung, time):
    alarm.watch(time.now_s + 1.0)
    await time.pass_s(1.0)
    alarm.watch(time.now_s + 2.0)
    await time.pass_s(2.0)

    assert len(rung) == 2


async def test_time_that_is_told_is_never_before_the_moment(alarm, rung, time):
    """The loop calls timers early by the resolution of its clock; no deadline would have come yet, and the alarm would ring again."""
    moment_s = time.now_s + 1.0
    alarm.watch(moment_s)
    await time.pass_s(1.0 - 5e-10)

    assert rung == [moment_s]


async def test_infinity_is_no_moment(alarm, rung, time):
    alarm.watch(math.inf)
    await time.pass_s(1e9)

    assert rung == []


async def test_cancelled_alarm_does_not_ring(alarm, rung, time):
    alarm.watch(time.now_s + 1.0)
    alarm.cancel()
    await time.pass_s(2.0)

    assert rung == []
