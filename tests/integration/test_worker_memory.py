"""Large tensors between daemon and worker: shared rather than sent, used again, and gone when nobody needs them."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edged.errors import TensorError, UnavailableError
from edged.host.template import Template
from edged.runtime.calls import Request
from edged.runtime.memory import SharedMemory
from edged.runtime.tensors import Tensor
from edged.runtime.wire import INLINE_BYTES
from edged.worker.arrays import to_array, to_tensor
from tests.fakes import models
from tests.fakes.open_files import open_files, shared_memory_of
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import opened, spec_of, worker_spec

MB = 1 << 20
ADD = models.add_model(2.0)
ADD_SPEC = worker_spec(ADD, [spec_of("x", "FP32", (-1, 4))], [spec_of("y", "FP32", (-1, 4))])


@pytest.fixture
async def template():
    async with asyncio.timeout(PATIENCE_S):
        async with Template() as template:
            yield template


@pytest.fixture
def memory():
    memory = SharedMemory(max_bytes=lambda: 64 * MB)
    yield memory
    assert memory.taken_bytes == 0
    memory.trim()


@asynccontextmanager
async def started(template, tmp_path, spec=ADD_SPEC, model=ADD, **options):
    with opened(tmp_path, model) as descriptors:
        worker = await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S, **options)
    async with worker:
        yield worker


def rows(size_bytes, first=0.0):
    return np.arange(first, first + size_bytes // 4, dtype=np.float32).reshape(-1, 4)


async def run(worker, requests):
    outcome = asyncio.get_running_loop().create_future()
    worker.run(requests, outcome.set_result)
    return await outcome


async def test_five_megabytes_cross_both_ways_in_shared_memory_and_the_next_five_use_it_again(
    template, tmp_path, memory
):
    async with started(template, tmp_path, memory=memory) as worker:
        used = []
        for first in (0.0, 1.0, 2.0):
            array = rows(5 * MB, first)
            result = await worker.infer([to_tensor("x", array)], timeout_s=PATIENCE_S)
            np.testing.assert_array_equal(to_array(result.outputs[0]), array + 2)
            used.append((memory.used_bytes, len(shared_memory_of(worker.pid))))

    assert used == [(10 * MB, 2)] * 3, "a segment for the input and a room for the answer"


async def test_a_body_that_was_received_into_memory_is_read_where_it_lies(template, tmp_path, memory):
    array = rows(5 * MB)
    async with started(template, tmp_path, memory=memory) as worker:
        segment = memory.take(5 * MB + 128)
        segment.view[128 : 128 + 5 * MB] = array.tobytes()
        data = segment.view[128 : 128 + 5 * MB]
        tensor = Tensor(name="x", dtype="FP32", shape=array.shape, data=data, at=128)
        (result,) = await run(worker, [Request(inputs=[tensor], deadline_s=0.0, memory=segment)])
        room = memory.used_bytes - segment.size
        segment.release()

    np.testing.assert_array_equal(to_array(result.outputs[0]), array + 2)
    assert room == 5 * MB, "nothing but the room for the answer was added"


async def test_small_tensors_need_no_shared_memory(template, tmp_path, memory):
    async with started(template, tmp_path, memory=memory) as worker:
        result = await worker.infer([to_tensor("x", rows(INLINE_BYTES))], timeout_s=PATIENCE_S)

        assert shared_memory_of(worker.pid) == []
    np.testing.assert_array_equal(to_array(result.outputs[0]), rows(INLINE_BYTES) + 2)
    assert memory.used_bytes == 0


async def test_answers_larger_than_the_memory_there_is_are_refused_and_the_worker_goes_on(template, tmp_path):
    memory = SharedMemory(max_bytes=lambda: 8 * MB)
    async with started(template, tmp_path, memory=memory) as worker:
        (outcome,) = await run(worker, [Request(inputs=[to_tensor("x", rows(7 * MB))], deadline_s=0.0)])
        assert isinstance(outcome, UnavailableError)
        (outcome,) = await run(worker, [Request(inputs=[to_tensor("x", rows(16 * MB))], deadline_s=0.0)])
        assert isinstance(outcome, UnavailableError)

        result = await worker.infer([to_tensor("x", rows(3 * MB))], timeout_s=PATIENCE_S)
        assert worker.is_usable
    np.testing.assert_array_equal(to_array(result.outputs[0]), rows(3 * MB) + 2)
    memory.trim()


async def test_a_batch_of_large_and_small_requests_gets_every_answer(template, tmp_path, memory):
    sizes = [16, 2 * MB, INLINE_BYTES, INLINE_BYTES + 16, MB, *([INLINE_BYTES] * 8)]
    requests = [Request(inputs=[to_tensor("x", rows(size, i))], deadline_s=0.0) for i, size in enumerate(sizes)]
    async with started(template, tmp_path, memory=memory) as worker:
        for _ in range(2):
            results = await run(worker, requests)
            for i, (size, result) in enumerate(zip(sizes, results, strict=True)):
                np.testing.assert_array_equal(to_array(result.outputs[0]), rows(size, i) + 2)
    assert len(results) == len(sizes)


async def test_memory_outlives_a_worker_and_serves_the_next_one(template, tmp_path, memory):
    used = []
    for first in (0.0, 1.0):
        async with started(template, tmp_path, memory=memory) as worker:
            result = await worker.infer([to_tensor("x", rows(5 * MB, first))], timeout_s=PATIENCE_S)
            np.testing.assert_array_equal(to_array(result.outputs[0]), rows(5 * MB, first) + 2)
            used.append(memory.used_bytes)

    assert used == [10 * MB] * 2


async def test_a_worker_that_goes_takes_its_process_and_its_own_memory_along(template, tmp_path):
    """What a model used returns to the system when it is unloaded."""
    before = open_files(), shared_memory_of()
    async with started(template, tmp_path) as worker:
        await worker.infer([to_tensor("x", rows(5 * MB))], timeout_s=PATIENCE_S)
        assert len(shared_memory_of()) > len(before[1])
        pid = worker.pid

    assert not is_there(pid)
    assert (open_files(), shared_memory_of()) == before


async def test_what_is_trimmed_here_is_unmapped_there(template, tmp_path, memory):
    async with started(template, tmp_path, memory=memory) as worker:
        await worker.infer([to_tensor("x", rows(5 * MB))], timeout_s=PATIENCE_S)
        assert len(shared_memory_of(worker.pid)) == 2
        memory.trim()

        async with asyncio.timeout(PATIENCE_S):
            while shared_memory_of(worker.pid):  # noqa: ASYNC110 - another process's memory, which sets no event
                await asyncio.sleep(0)
    assert memory.used_bytes == 0


async def test_a_thousand_mixed_requests_leave_nothing_behind(template, tmp_path, memory):
    """Small, large, wrong, stopped and abandoned ones, several at once: no descriptor, no memory, no mapping more than before."""
    spec = msgspec.structs.replace(ADD_SPEC, parallel=4)
    wrong = to_tensor("x", np.zeros((1, 5), np.float32))
    mapped_before = shared_memory_of()
    async with started(template, tmp_path, spec, memory=memory) as worker:
        before = open_files(), open_files(worker.pid), threads_of(worker.pid)
        under_way = asyncio.Semaphore(4)

        async def ask(i):
            async with under_way:
                match i % 5:
                    case 0:
                        tensor = wrong
                    case 1:
                        tensor = to_tensor("x", rows(MB // 4 + 16 * i, i))
                    case _:
                        tensor = to_tensor("x", rows(160, i))
                request = Request(inputs=[tensor], deadline_s=0.0)
                ended = asyncio.get_running_loop().create_future()
                number = worker.run([request], ended.set_result)
                if i % 7 == 0:
                    worker.stop(number)
                (outcome,) = await ended
                if i % 5 and i % 7:
                    np.testing.assert_array_equal(to_array(outcome.outputs[0]), to_array(tensor) + 2)
                return outcome

        outcomes = await asyncio.gather(*(ask(i) for i in range(1000)))
        assert memory.taken_bytes == 0
        memory.trim()

        async with asyncio.timeout(PATIENCE_S):
            while shared_memory_of(worker.pid):  # noqa: ASYNC110 - another process's memory, which sets no event
                await asyncio.sleep(0)
        assert (open_files(), open_files(worker.pid), threads_of(worker.pid)) == before
        assert worker.is_usable
    assert sum(isinstance(outcome, TensorError) for outcome in outcomes) > 100
    assert shared_memory_of() == mapped_before


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
