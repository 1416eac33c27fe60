"""A worker handle over real channels: loading, closing, and asking it one request."""

import asyncio

import numpy as np
import pytest

from edged.errors import (
    BackendError,
    DeadlineError,
    ModelLoadError,
    TensorError,
    UnsafeModelError,
)
from edged.runtime.wire import (
    Failed,
    LoadFailed,
    Ran,
    Stop,
    encode,
)
from edged.worker.arrays import to_tensor
from tests.fakes.far_ends import answer
from tests.fakes.handle_runs import MB, SPEC, floats, turn_loop
from tests.fakes.patience import PATIENCE_S


async def test_a_loaded_model_is_described(worker, far):
    far.say_loaded(load_s=1.5, runtime="onnxruntime 9.9", unconfined=("no Landlock:\nold kernel",))
    await worker.load()

    assert far.told().spec == SPEC
    assert (worker.load_s, worker.runtime, worker.unconfined) == (1.5, "onnxruntime 9.9", ("no Landlock: old kernel",))


async def test_a_model_that_cannot_be_loaded_is_an_error_with_its_reason(worker, far):
    far.control.send(b"".join(encode(LoadFailed(code="model-unsafe", message="external data", hint="none"))))

    with pytest.raises(UnsafeModelError, match="external data"):
        await worker.load()


async def test_the_end_of_a_worker_that_loads_is_a_load_error(worker, far):
    loading = asyncio.ensure_future(worker.load())
    await turn_loop()
    await far.report(-9)

    with pytest.raises(ModelLoadError, match="signal 9") as caught:
        await loading
    assert str(SPEC.memory_limit_bytes) in caught.value.hint


async def test_the_last_word_of_a_worker_that_could_not_load_counts_more_than_its_end(worker, far):
    loading = asyncio.ensure_future(worker.load())
    await turn_loop()
    far.control.send(b"".join(encode(LoadFailed(code="model-unsafe", message="external data"))))
    await far.report(0)

    with pytest.raises(UnsafeModelError):
        await loading


async def test_the_end_of_the_template_while_loading_is_no_fault_of_the_model(worker, far):
    loading = asyncio.ensure_future(worker.load())
    await turn_loop()
    await far.report(None)

    with pytest.raises(BackendError) as caught:
        await loading
    assert type(caught.value) is BackendError


async def test_a_second_word_about_the_model_ends_the_worker(worker, far):
    far.say_loaded()
    far.say_loaded()
    await far.death()


async def test_closing_kills_and_waits_until_the_process_is_gone(worker, far):
    closing = asyncio.ensure_future(worker.close())
    await far.death()
    await turn_loop()
    assert not closing.done()
    await far.report()
    await closing

    assert worker.lost.is_set()


async def test_a_worker_that_is_gone_hears_no_more_of_its_memory_and_is_forgotten(far, memory):
    """The memory outlives many workers."""
    worker = far.handle(SPEC, memory)
    await far.report()
    memory.take(MB).release()
    memory.trim()

    assert not worker.is_usable
    assert memory._droppers == set()


async def answering(far, worker, value):
    """Answer the next run as soon as it is there, without a thread."""
    while not worker._runs._runs:  # noqa: ASYNC110 - set by a call, which sets no event
        await asyncio.sleep(0)
    message, _, _ = far.receive()
    far.say(answer(message.run, floats(1, value)), [floats(1, value)])


async def test_infer_waits_for_the_answer(worker, far):
    answered = asyncio.ensure_future(answering(far, worker, 8.0))
    result = await worker.infer([to_tensor("x", np.ones(2, np.float32))], timeout_s=PATIENCE_S)
    await answered

    assert result.outputs[0].data == floats(1, 8.0)


async def test_infer_refuses_what_the_model_does_not_take(worker):
    with pytest.raises(TensorError, match="inputs are z"):
        await worker.infer([to_tensor("z", np.ones(2, np.float32))], timeout_s=PATIENCE_S)


async def test_infer_stops_the_run_at_its_deadline(worker, far):
    with pytest.raises(DeadlineError):
        await worker.infer([to_tensor("x", np.ones(2, np.float32))], timeout_s=0.01)

    assert far.told() == Stop(run=far.receive()[0].run)
    assert worker.is_usable


async def test_infer_without_time_sends_nothing(worker, far):
    with pytest.raises(DeadlineError):
        await worker.infer([to_tensor("x", np.ones(2, np.float32))], timeout_s=0)

    far.runs.settimeout(0)
    with pytest.raises(BlockingIOError):
        far.receive()


async def test_infer_that_nobody_waits_for_is_stopped(worker, far):
    asking = asyncio.ensure_future(worker.infer([to_tensor("x", np.ones(2, np.float32))], timeout_s=PATIENCE_S))
    await turn_loop()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    run = far.receive()[0].run
    assert far.told() == Stop(run=run)
    far.say(answer(run, floats(1)), [floats(1)])
    await turn_loop()
    assert worker.is_usable


async def test_infer_raises_what_the_worker_reports(worker, far):
    asking = asyncio.ensure_future(worker.infer([to_tensor("x", np.ones(2, np.float32))], timeout_s=PATIENCE_S))
    await turn_loop()
    far.say(Ran(run=far.receive()[0].run, answers=(Failed(code="backend-failed", message="no"),)))

    with pytest.raises(BackendError, match="no"):
        await asking
