"""Models in real processes, from the daemon's side: right answers, and what every kind of end costs."""

import asyncio
import os
import select
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edged.errors import (
    BundleError,
    DeadlineError,
    DigestMismatchError,
    IncompatibleError,
    ModelLoadError,
    TensorError,
    UnsafeModelError,
    WorkerLostError,
)
from edged.pipeline.spec import Pipeline
from edged.pipeline.steps import BytesWindow, Labels, Softmax, TopK
from edged.runtime.arrays import to_array, to_tensor
from edged.runtime.host import Template
from tests.fakes import models
from tests.fakes.workers import opened, spec_of, variant_of, with_pin, worker_spec

PATIENCE_S = 30.0
ADD = models.add_model(2.0)
ADD_SPEC = worker_spec(ADD, [spec_of("x", "FP32", (-1, 4))], [spec_of("y", "FP32", (-1, 4))])
LOOP = models.loop_model()
LOOP_SPEC = worker_spec(
    LOOP, [spec_of("x", "FP32", (1,)), spec_of("times", "INT64", (1,))], [spec_of("y", "FP32", (1,))]
)


@pytest.fixture
async def template():
    async with asyncio.timeout(PATIENCE_S):
        async with Template() as template:
            yield template


@asynccontextmanager
async def started(template, tmp_path, spec, *contents):
    with opened(tmp_path, *contents) as descriptors:
        worker = await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S)
    async with worker:
        yield worker


def floats(*rows):
    return [to_tensor("x", np.array(rows, dtype=np.float32))]


def looping(times):
    return [to_tensor("x", np.ones(1, np.float32)), to_tensor("times", np.array([times], np.int64))]


async def test_a_worker_answers_as_the_model_does(template, tmp_path):
    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:
        result = await worker.infer(floats([1, 2, 3, 4], [5, 6, 7, 8]), timeout_s=PATIENCE_S)

    assert to_array(result.outputs[0]).tolist() == [[3, 4, 5, 6], [7, 8, 9, 10]]
    assert result.run_s > 0
    assert worker.answered == 1
    assert worker.runtime == template.runtime


async def test_a_pipeline_runs_around_the_model(template, tmp_path):
    """A file goes in and a label comes out; the model's own inputs may be sent instead of the file."""
    model = models.classifier_model()
    variant = variant_of(model, [spec_of("bytes", "INT32", (-1, 8))], [spec_of("scores", "FP32", (-1, 3))])
    pipeline = Pipeline(
        inputs=(spec_of("content", "BYTES", (1,)),),
        pre=(BytesWindow(input="content", output="bytes", begin=4, end=4, block=64, padding=256),),
        post=(
            Softmax(input="scores", output="shares"),
            TopK(input="shares", values="confidence", indices="index", k=1),
            Labels(input="index", output="label", file="labels.txt"),
        ),
        outputs=(spec_of("label", "BYTES", (-1, 1)), spec_of("confidence", "FP32", (-1, 1))),
    )
    labels = b"zero\none\ntwo\n"
    spec = worker_spec(model, variant.inputs, variant.outputs, pipeline=pipeline, files={"labels.txt": labels})
    content = np.empty(1, dtype=object)
    content[0] = b"\x01\x02\x01\x01"

    async with started(template, tmp_path, spec, model, labels) as worker:
        whole = await worker.infer([to_tensor("content", content)], timeout_s=PATIENCE_S)
        window = to_tensor("bytes", np.array([[1, 2, 1, 1, 1, 2, 1, 1]], dtype=np.int32))
        raw = await worker.infer([window], ["label"], timeout_s=PATIENCE_S)

    assert [tensor.name for tensor in whole.outputs] == ["label", "confidence"]
    assert to_array(whole.outputs[0]).tolist() == [[b"one"]]
    assert [tensor.name for tensor in raw.outputs] == ["label"]
    assert to_array(raw.outputs[0]).tolist() == [[b"one"]]


async def test_large_tensors_pass_both_ways(template, tmp_path):
    """16 MB each way, many times what a socket buffers."""
    rows = np.arange(1 << 22, dtype=np.float32).reshape(-1, 4)

    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:
        result = await worker.infer([to_tensor("x", rows)], timeout_s=PATIENCE_S)

    np.testing.assert_array_equal(to_array(result.outputs[0]), rows + 2)


async def test_twenty_requests_at_once_each_get_their_own_answer(template, tmp_path):
    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:
        results = await asyncio.gather(*(worker.infer(floats([i] * 4), timeout_s=PATIENCE_S) for i in range(20)))

    assert [to_array(result.outputs[0])[0, 0] for result in results] == [i + 2 for i in range(20)]
    assert worker.answered == 20


async def test_a_request_that_fails_leaves_the_worker_serving(template, tmp_path):
    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:
        pid = worker.pid
        for wrong in (
            [],
            [to_tensor("z", np.zeros((1, 4), np.float32))],
            [to_tensor("x", np.zeros((1, 4), np.int32))],
            floats([1, 2]),
        ):
            with pytest.raises(TensorError):
                await worker.infer(wrong, timeout_s=PATIENCE_S)
        for outputs in (["nothing"], ["y", "y"], ["y"] * 100):
            with pytest.raises(TensorError, match="output"):
                await worker.infer(floats([1, 2, 3, 4]), outputs, timeout_s=PATIENCE_S)

        result = await worker.infer(floats([1, 2, 3, 4]), timeout_s=PATIENCE_S)

    assert to_array(result.outputs[0]).tolist() == [[3, 4, 5, 6]]
    assert worker.pid == pid


async def test_a_crash_costs_one_request_and_a_new_worker_can_be_started(template, tmp_path):
    async with started(template, tmp_path, LOOP_SPEC, LOOP) as worker:
        running = asyncio.ensure_future(worker.infer(looping(2**40), timeout_s=PATIENCE_S))
        await cpu_time_of(worker.pid)
        os.kill(worker.pid, signal.SIGKILL)

        with pytest.raises(WorkerLostError, match="signal 9"):
            await running
        assert worker.lost.is_set()
        with pytest.raises(WorkerLostError):
            await worker.infer(looping(1), timeout_s=PATIENCE_S)

    async with started(template, tmp_path, LOOP_SPEC, LOOP) as worker:
        result = await worker.infer(looping(1), timeout_s=PATIENCE_S)
    assert to_array(result.outputs[0]).tolist() == [1]


async def test_a_crash_while_idle_is_noticed_without_a_request(template, tmp_path):
    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:
        os.kill(worker.pid, signal.SIGSEGV)

        await worker.lost.wait()


async def test_a_deadline_while_running_kills_the_worker(template, tmp_path):
    async with started(template, tmp_path, LOOP_SPEC, LOOP) as worker:
        with pytest.raises(DeadlineError, match="no answer"):
            await worker.infer(looping(2**40), timeout_s=0.2)

        assert not worker.is_usable
        with pytest.raises(WorkerLostError, match="has ended"):
            await worker.infer(looping(1), timeout_s=PATIENCE_S)
        assert worker.lost.is_set()


async def test_a_deadline_while_waiting_leaves_the_worker_running(template, tmp_path):
    """A caller in the queue who gives up does not cost the one being served."""
    async with started(template, tmp_path, LOOP_SPEC, LOOP) as worker:
        running = asyncio.ensure_future(worker.infer(looping(2**40), timeout_s=PATIENCE_S))
        await cpu_time_of(worker.pid)

        with pytest.raises(DeadlineError, match="not begun"):
            await worker.infer(looping(1), timeout_s=0.05)

        assert not worker.lost.is_set()
        worker.kill()
        with pytest.raises(WorkerLostError):
            await running


async def test_a_request_without_time_is_not_begun(template, tmp_path):
    """Nobody waits for it, and starting it would cost the worker."""
    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:
        with pytest.raises(DeadlineError, match="not begun"):
            await worker.infer(floats([1, 2, 3, 4]), timeout_s=0)

        await worker.infer(floats([1, 2, 3, 4]), timeout_s=PATIENCE_S)
    assert worker.answered == 1


async def test_a_caller_that_leaves_does_not_disturb_the_next(template, tmp_path):
    """The answer to an abandoned request must not be taken for the answer to the next one."""
    async with started(template, tmp_path, LOOP_SPEC, LOOP) as worker:
        leaving = asyncio.ensure_future(worker.infer(looping(200_000), timeout_s=PATIENCE_S))
        await cpu_time_of(worker.pid)
        leaving.cancel()

        result = await worker.infer([to_tensor("x", np.full(1, 7, np.float32)), looping(1)[1]], timeout_s=PATIENCE_S)

    assert to_array(result.outputs[0]).tolist() == [7]
    assert worker.answered == 2


async def test_a_file_that_was_not_signed_is_refused(template, tmp_path):
    other = bytearray(ADD)
    other[-1] ^= 1
    for content, match in ((bytes(other), "hashes to"), (ADD + b"\x00", "bytes"), (b"", "bytes")):
        with opened(tmp_path, content) as descriptors, pytest.raises(DigestMismatchError, match=match):
            await template.start_worker(ADD_SPEC, descriptors, timeout_s=PATIENCE_S)


async def test_an_unsafe_model_is_refused_before_the_runtime_sees_it(template, tmp_path):
    model = models.external_data_model()
    spec = worker_spec(model, [spec_of("x", "FP32", (-1,))], [spec_of("y", "FP32", (-1,))])

    with (
        opened(tmp_path, model) as descriptors,
        pytest.raises(UnsafeModelError, match="outside the model file") as caught,
    ):
        await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S)
    assert caught.value.hint


async def test_a_model_that_does_not_load_is_refused_with_the_reason(template, tmp_path):
    wrong = worker_spec(ADD, [spec_of("x", "FP32", (-1, 5))], [spec_of("y", "FP32", (-1, 4))])

    with (
        opened(tmp_path, ADD) as descriptors,
        pytest.raises(ModelLoadError, match=r"x is FP32 \[-1, 5\] in the manifest"),
    ):
        await template.start_worker(wrong, descriptors, timeout_s=PATIENCE_S)


async def test_files_and_specification_must_match(template, tmp_path):
    with opened(tmp_path, ADD, b"") as descriptors, pytest.raises(BundleError, match="2 files handed over"):
        await template.start_worker(ADD_SPEC, descriptors, timeout_s=PATIENCE_S)
    with opened(tmp_path, ADD) as descriptors, pytest.raises(BundleError, match="0 files have role model"):
        await template.start_worker(with_pin(ADD_SPEC, role="labels"), descriptors, timeout_s=PATIENCE_S)


async def test_another_runtime_version_is_refused(template, tmp_path):
    variant = variant_of(ADD, ADD_SPEC.variant.inputs, ADD_SPEC.variant.outputs, runtime=">=99.0")
    spec = msgspec.structs.replace(ADD_SPEC, variant=variant)

    with opened(tmp_path, ADD) as descriptors, pytest.raises(IncompatibleError, match=r"needs onnxruntime >=99\.0"):
        await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S)


async def test_leaving_the_template_ends_its_workers(tmp_path):
    async with asyncio.timeout(PATIENCE_S), Template() as template:
        with opened(tmp_path, ADD) as descriptors:
            worker = await template.start_worker(ADD_SPEC, descriptors, timeout_s=PATIENCE_S)
        pidfd = os.pidfd_open(worker.pid)

    assert worker.lost.is_set()
    assert has_ended(pidfd)
    await worker.close()
    assert template.pid is None


async def test_a_template_that_dies_takes_its_workers_along_and_is_started_again(template, tmp_path):
    """Workers are its children and share its memory; what a new one serves comes from a new template."""
    with opened(tmp_path, ADD) as descriptors:
        worker = await template.start_worker(ADD_SPEC, descriptors, timeout_s=PATIENCE_S)
        pidfd = os.pidfd_open(worker.pid)
        first = template.pid
        os.kill(first, signal.SIGKILL)
        await worker.lost.wait()
        with pytest.raises(WorkerLostError):
            await worker.infer(floats([1, 2, 3, 4]), timeout_s=PATIENCE_S)
        await worker.close()
        assert has_ended(pidfd)

        async with await template.start_worker(ADD_SPEC, descriptors, timeout_s=PATIENCE_S) as worker:
            result = await worker.infer(floats([1, 2, 3, 4]), timeout_s=PATIENCE_S)

    assert to_array(result.outputs[0]).tolist() == [[3, 4, 5, 6]]
    assert template.pid != first


async def test_starting_in_no_time_leaves_no_process(template, tmp_path):
    with opened(tmp_path, ADD) as descriptors, pytest.raises(ModelLoadError, match="not loaded after"):
        await template.start_worker(ADD_SPEC, descriptors, timeout_s=0)

    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:
        await worker.infer(floats([1, 2, 3, 4]), timeout_s=PATIENCE_S)
        assert children_of(template.pid) == {worker.pid}


def has_ended(pidfd: int) -> bool:
    """Tell whether a process ends within the tests' patience."""
    try:
        return bool(select.select([pidfd], [], [], PATIENCE_S)[0])
    finally:
        os.close(pidfd)


def children_of(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


async def cpu_time_of(pid: int) -> None:
    """Wait until a process that was idle computes: its model runs."""

    def ticks() -> int:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11])

    before = ticks()
    while ticks() == before:  # noqa: ASYNC110 - another process's clock, which sets no event
        await asyncio.sleep(0)
