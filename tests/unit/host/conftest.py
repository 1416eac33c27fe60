"""A worker handle over real channels, and its far end, which a test plays."""

import pytest

from edged.runtime.memory import SharedMemory
from tests.fakes.far_ends import FarEnd
from tests.fakes.handle_runs import MB, SPEC, Endings


@pytest.fixture
def memory():
    memory = SharedMemory(max_bytes=lambda: 64 * MB)
    yield memory
    assert memory.taken_bytes == 0, "every run has given back what it took"


@pytest.fixture
async def far(memory):
    far = FarEnd()
    yield far
    await far.close()


@pytest.fixture
async def worker(far, memory):
    return far.handle(SPEC, memory)


@pytest.fixture
def endings():
    return Endings()
