"""A queue in front of a worker that may be lost: one loss costs one request."""

import asyncio
from types import SimpleNamespace

import pytest

from edged.daemon.served import Loadable, Served
from edged.errors import DeadlineError, ModelLoadError, UnavailableError, WorkerLostError
from edged.runtime.tensors import InferResult

RESULT = InferResult(outputs=(), run_s=0.001)


class FakeWorker:
    """Answers when told to; dies when told to."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.lost = asyncio.Event()
        self.asked: asyncio.Queue[asyncio.Future[InferResult]] = asyncio.Queue()
        self.is_closed = False

    @property
    def is_usable(self) -> bool:
        return not self.lost.is_set()

    async def infer(self, inputs, outputs=(), *, timeout_s):
        answer = asyncio.get_running_loop().create_future()
        self.asked.put_nowait(answer)
        return await answer

    async def answer_next(self) -> None:
        (await self.asked.get()).set_result(RESULT)

    async def die_in_next(self) -> None:
        request = await self.asked.get()
        self.lost.set()
        request.set_exception(WorkerLostError("gone"))

    async def close(self) -> None:
        self.is_closed = True


class Starter:
    """Starts fake workers, in a numbered row; ``broken`` makes the next starts fail."""

    def __init__(self) -> None:
        self.started: asyncio.Queue[FakeWorker] = asyncio.Queue()
        self.broken = False
        self.count = 0

    async def __call__(self, loadable) -> FakeWorker:
        if self.broken:
            raise ModelLoadError("out of memory")
        self.count += 1
        worker = FakeWorker(self.count)
        self.started.put_nowait(worker)
        return worker


LOADABLE = Loadable(bundle=SimpleNamespace(manifest=SimpleNamespace(name="m", version="1.0.0")), variant=None)


@pytest.fixture
async def starter():
    return Starter()


@pytest.fixture
async def served(starter):
    served = Served(LOADABLE, await starter(LOADABLE), start_worker=starter, max_waiting=2, run_limit_s=30.0)
    keeper = asyncio.create_task(served.keep_running())
    yield served
    keeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeper


def ask(served: Served, timeout_s: float = 10.0):
    return asyncio.create_task(served.infer((), (), timeout_s=timeout_s))


async def test_lost_worker_costs_one_request_and_the_waiting_ones_go_to_its_successor(served, starter):
    first = starter.started.get_nowait()
    running, waiting = ask(served), ask(served)
    await first.die_in_next()
    with pytest.raises(WorkerLostError):
        await running

    second = await starter.started.get()
    await second.answer_next()

    assert await waiting == RESULT
    assert (served.restarts, served.requests, served.failures, served.worker_pid) == (1, 2, 1, 2)


async def test_request_begun_behind_one_whose_caller_left_is_not_lost_with_it(served, starter):
    """The turn belongs to the exchange: a request that is killed at its limit takes no other with it."""
    first = starter.started.get_nowait()
    with pytest.raises(DeadlineError):
        await served.infer((), (), timeout_s=0.01)
    waiting = ask(served)
    await first.die_in_next()

    second = await starter.started.get()
    await second.answer_next()

    assert await waiting == RESULT


async def test_queue_that_is_full_refuses_and_says_which_limit(served, starter):
    requests = [ask(served) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(UnavailableError, match="2 requests are waiting") as caught:
        await served.infer((), (), timeout_s=1.0)

    assert caught.value.facts["limit"] == "serve.max_queued"
    worker = starter.started.get_nowait()
    for request in requests:
        await worker.answer_next()
        await request


async def test_deadline_ends_the_wait_and_not_the_worker(served, starter):
    """An impatient caller must not cost the others their worker."""
    with pytest.raises(DeadlineError, match=r"0\.01 s"):
        await served.infer((), (), timeout_s=0.01)

    assert starter.started.get_nowait().is_usable
    assert served.worker_pid == 1


async def test_worker_that_cannot_be_started_again_is_unavailable_with_the_reason(served, starter):
    starter.broken = True
    starter.started.get_nowait().lost.set()
    await asyncio.sleep(0)

    with pytest.raises(UnavailableError, match="out of memory"):
        await served.infer((), (), timeout_s=10.0)


async def test_drain_returns_when_the_last_request_is_answered(served, starter):
    request = ask(served)
    await asyncio.sleep(0)
    drained = asyncio.create_task(served.drain(timeout_s=10.0))
    await asyncio.sleep(0)
    assert not drained.done()

    await starter.started.get_nowait().answer_next()

    await drained
    assert await request == RESULT


async def test_cancelled_keeper_ends_the_worker(starter):
    served = Served(LOADABLE, await starter(LOADABLE), start_worker=starter, max_waiting=2, run_limit_s=30.0)
    keeper = asyncio.create_task(served.keep_running())
    await asyncio.sleep(0)
    keeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeper

    assert starter.started.get_nowait().is_closed
