"""What counts as waiting, and what as time that nobody had."""

import asyncio

import pytest

from edged.host import patience
from tests.fakes.loop_clocks import skip_s

LIMIT_S = 30.0


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("limit_s", [LIMIT_S, patience.LOOK_S])
async def test_time_that_passes_in_one_piece_is_a_pause_and_does_not_count(monkeypatch, limit_s):
    async with patience.patience(limit_s):
        for _ in range(3):
            await turns()
            skip_s(monkeypatch, 10 * LIMIT_S)
            await turns()


async def test_what_counts_of_a_pause_is_little_but_something(monkeypatch):
    """Otherwise a machine that is paused all the time would wait for ever."""
    pauses = []

    async def pause_for_ever():
        async with patience.patience(LIMIT_S):
            while True:
                await turns()
                pauses.append(10 * LIMIT_S)
                skip_s(monkeypatch, pauses[-1])

    with pytest.raises(TimeoutError):
        await pause_for_ever()

    assert 1 < len(pauses) <= LIMIT_S / (patience.LATE * patience.LOOK_S)


async def test_time_that_passes_looked_at_counts(monkeypatch):
    async def wait():
        async with patience.patience(LIMIT_S):
            await turns()
            skip_s(monkeypatch, LIMIT_S)
            await asyncio.Event().wait()

    monkeypatch.setattr(patience, "LATE", LIMIT_S / patience.LOOK_S)
    with pytest.raises(TimeoutError):
        await wait()


async def test_no_time_at_all_is_over_at_once():
    with pytest.raises(TimeoutError):
        async with patience.patience(0):
            await asyncio.Event().wait()


async def test_whoever_is_cancelled_is_not_late():
    async def wait():
        async with patience.patience(LIMIT_S):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await turns()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_was_done_in_time_leaves_no_timer_behind(monkeypatch):
    async with patience.patience(LIMIT_S):
        await turns()

    skip_s(monkeypatch, 10 * LIMIT_S)
    await turns()
