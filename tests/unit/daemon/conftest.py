"""A served model with a fake worker, in a time that stands still."""

import asyncio
from contextlib import suppress

import pytest

from tests.fakes.served_workers import settle, start_bench


@pytest.fixture
async def make_bench(monkeypatch):
    """Return a function that starts one; its keeper runs until the end of the test."""
    keepers = []

    async def make(**options):
        bench = await start_bench(monkeypatch, **options)
        keepers.append(asyncio.create_task(bench.served.keep_running()))
        await settle()
        return bench

    yield make
    for keeper in keepers:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper


@pytest.fixture
async def bench(make_bench):
    """One run at a time, no batches."""
    return await make_bench()
