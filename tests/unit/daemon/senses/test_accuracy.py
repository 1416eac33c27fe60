"""What apps say about the answers of models: whose word counts, for how long, and how many there can be."""

import asyncio
from types import SimpleNamespace

import pytest

from edged.daemon.senses import accuracy
from edged.daemon.senses.accuracy import AccuracyHints
from edged.errors import UnavailableError
from tests.fakes.clocks import ManualClock
from tests.fakes.served_workers import HeldTime


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def hints(clock):
    hints = AccuracyHints(clock)
    yield hints
    hints.close()


async def test_nobody_has_said_anything_at_first(hints):
    assert hints.of("gauge").value is None
    assert "no app" in hints.of("gauge").reason


async def test_what_an_app_says_counts_for_that_model_and_so_long(hints, clock):
    hints.say("gauge", "degraded", for_s=60.0, uid=1)
    assert (hints.of("gauge").value, hints.of("other").value) == ("degraded", None)

    clock.advance(60.0)

    assert hints.of("gauge").value is None


async def test_a_user_takes_back_its_own_word_only(hints):
    hints.say("gauge", "degraded", for_s=60.0, uid=1)
    hints.say("gauge", "ok", for_s=60.0, uid=2)
    assert hints.of("gauge").value == "degraded"

    hints.say("gauge", "ok", for_s=60.0, uid=1)

    assert hints.of("gauge").value == "ok"


async def test_listeners_hear_of_words_and_of_their_end(hints, clock):
    heard = asyncio.Queue()
    hints.on_change(lambda: heard.put_nowait(hints.of("gauge").value))
    hints.say("gauge", "degraded", for_s=0.01, uid=1)
    assert heard.get_nowait() == "degraded"

    clock.advance(0.01)
    async with asyncio.timeout(60):
        assert await heard.get() is None


@pytest.fixture
async def held(monkeypatch):
    """Hints, what is heard of them, and the time of both."""
    time, heard = HeldTime(monkeypatch), []
    hints = AccuracyHints(SimpleNamespace(monotonic_s=lambda: time.now_s))
    hints.on_change(lambda: heard.append(hints.of("gauge").value))
    yield hints, heard, time
    hints.close()


async def test_each_word_ends_in_its_own_time(held):
    hints, heard, time = held
    hints.say("gauge", "ok", for_s=60.0, uid=2)
    hints.say("gauge", "degraded", for_s=20.0, uid=1)
    for expected in (["ok", "degraded"], ["ok", "degraded", "ok"], ["ok", "degraded", "ok", None]):
        assert heard == expected
        await time.pass_s({2: 20.0, 3: 40.0, 4: 1000.0}[len(expected)])

    assert heard == ["ok", "degraded", "ok", None]


async def test_a_word_that_is_said_again_counts_from_then(held):
    hints, heard, time = held
    hints.say("gauge", "degraded", for_s=20.0, uid=1)
    await time.pass_s(10.0)
    hints.say("gauge", "degraded", for_s=20.0, uid=1)
    await time.pass_s(10.0)
    assert heard == ["degraded", "degraded"]

    await time.pass_s(10.0)
    assert heard[2:] == [None]


async def test_once_it_is_closed_nobody_hears_of_anything(held):
    hints, heard, time = held
    hints.say("gauge", "degraded", for_s=20.0, uid=1)
    hints.close()
    await time.pass_s(20.0)

    assert heard == ["degraded"]


async def test_hints_are_bounded_and_the_end_of_one_makes_room(hints, clock, monkeypatch):
    monkeypatch.setattr(accuracy, "MAX_HINTS", 2)
    hints.say("a", "ok", for_s=10.0, uid=1)
    hints.say("b", "ok", for_s=20.0, uid=1)
    with pytest.raises(UnavailableError, match="taken"):
        hints.say("c", "ok", for_s=10.0, uid=1)
    hints.say("b", "degraded", for_s=20.0, uid=1)

    clock.advance(10.0)
    hints.say("c", "ok", for_s=10.0, uid=1)

    assert hints.counts == {("a", "ok"): 1, ("b", "ok"): 1, ("b", "degraded"): 1, ("c", "ok"): 1}
