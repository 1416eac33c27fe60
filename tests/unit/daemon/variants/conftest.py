"""A device that looks after variants."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fakes.served_workers import HeldTime
from tests.fakes.variant_devices import VariantDevice


@pytest.fixture
async def device(tmp_path, monkeypatch):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    device = VariantDevice(tmp_path, HeldTime(monkeypatch))
    async with device.serving:
        device.running = asyncio.create_task(device.variants.run())
        await device.pass_s(0.0)
        yield device
        await device.end()
    device.state.close()
