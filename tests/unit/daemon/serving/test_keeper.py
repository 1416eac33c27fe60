"""A worker is replaced when it is lost: at once the first time, and ever more slowly while it cannot stay up."""

import asyncio
from contextlib import suppress

import pytest

from edged.daemon.serving.keeper import RESTART_WAITS_S, Keeper
from edged.errors import ModelLoadError
from edged.telemetry.serving import ServingStats
from tests.fakes.served_workers import HeldTime, Starter, loadable_of, settle


class Watched:
    """A keeper at work, and what it says."""

    def __init__(self, time: HeldTime, starter: Starter) -> None:
        self.time = time
        self.starter = starter
        self.said: list[str] = []
        self.stats = ServingStats()
        self.keeper = Keeper(
            loadable_of(),
            starter.last,
            start_worker=starter,
            stats=self.stats,
            started=lambda: self.said.append("started"),
            failed=self.said.append,
        )

    async def lose(self, *, with_template: bool = False) -> None:
        self.starter.last.ended_with_template = with_template
        self.starter.last.lost.set()
        await settle()


@pytest.fixture
async def watched(monkeypatch):
    starter = Starter()
    time = HeldTime(monkeypatch)
    await starter()
    watched = Watched(time, starter)
    task = asyncio.create_task(watched.keeper.run())
    await settle()
    yield watched
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_first_loss_is_made_good_at_once(watched):
    await watched.lose()

    assert watched.keeper.worker is watched.starter.last
    assert watched.starter.last.pid == 2
    assert watched.said == ["started"]
    assert (watched.keeper.restarts, watched.stats.restarts) == (1, 1)


async def test_a_worker_that_ends_with_the_template_is_replaced_and_nobodys_loss(watched):
    """A trial counts what its version lost: not what all models lose together."""
    await watched.lose()
    await watched.lose(with_template=True)

    assert (watched.keeper.restarts, watched.stats.restarts, watched.stats.losses) == (2, 2, 1)


async def test_lost_worker_is_closed(watched):
    """Its end is known, but its descriptors are ours."""
    await watched.lose()

    assert [worker.is_closed for worker in watched.starter.workers] == [True, False]


async def test_losses_in_a_row_are_made_good_ever_more_slowly(watched):
    waits_s = []
    for _ in range(6):
        await watched.lose()
        lost_s = watched.time.now_s
        while watched.keeper.worker is None:
            await watched.time.pass_s(0.5)
        waits_s.append(watched.time.now_s - lost_s)

    assert waits_s == [*RESTART_WAITS_S, RESTART_WAITS_S[-1], RESTART_WAITS_S[-1]]


async def test_worker_that_stayed_up_for_long_is_replaced_at_once_again(watched):
    for _ in range(3):
        await watched.lose()
        await watched.time.pass_s(30.0)
    await watched.time.pass_s(3600.0)
    await watched.lose()

    assert watched.keeper.worker is not None


async def test_start_that_fails_is_told_and_tried_again(watched):
    watched.starter.troubles += [ModelLoadError("out of memory"), ZeroDivisionError()]
    await watched.lose()
    assert (watched.keeper.worker, watched.keeper.error) == (None, "out of memory")
    await watched.time.pass_s(RESTART_WAITS_S[1])
    assert watched.keeper.error == "ZeroDivisionError"
    await watched.time.pass_s(RESTART_WAITS_S[2])

    assert watched.keeper.worker is not None
    assert watched.keeper.error == ""
    assert watched.said == ["out of memory", "ZeroDivisionError", "started"]
