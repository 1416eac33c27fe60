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

from edged.bundle.manifest import Batching
from edged.errors import (
    BackendError,
    BundleError,
    DeadlineError,
    DigestMismatchError,
    IncompatibleError,
    ModelLoadError,
    TensorError,
    UnsafeModelError,
    WorkerLostError,
)
from edged.host import patience
from edged.host.template import Template
from edged.host.worker import Worker
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import BytesWindow, Labels, Softmax, TopK
from edged.runtime.calls import Request
from edged.worker.arrays import to_array, to_tensor
from tests.fakes import models
from tests.fakes.loop_clocks import skip_s
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import opened, spec_of, variant_of, with_pin, worker_spec

FOREVER = 2**40
ADD = models.add_model(2.0)
ADD_SPEC = worker_spec(ADD, [spec_of("x", "FP32", (-1, 4))], [spec_of("y", "FP32", (-1, 4))])
LOOP = models.loop_model()
LOOP_SPEC = worker_spec(
    LOOP, [spec_of("x", "FP32", (1,)), spec_of("times", "INT64", (1,))], [spec_of("y", "FP32", (1,))]
)
PARALLEL_LOOP_SPEC = msgspec.structs.replace(LOOP_SPEC, parallel=2)


@pytest.fixture
async def template():
    async with asyncio.timeout(PATIENCE_S):
        async with Template() as template:
            yield template


@asynccontextmanager
async def started(template, tmp_path, spec, *contents, **options):
    with opened(tmp_path, *contents) as descriptors:
        worker = await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S, **options)
    async with worker:
        yield worker


def floats(*rows):
    return [to_tensor("x", np.array(rows, dtype=np.float32))]


def looping(times, value=1.0):
    return [to_tensor("x", np.full(1, value, np.float32)), to_tensor("times", np.array([times], np.int64))]


def begin(worker, inputs):
    """Begin a run of one request; returns its number, and what it ends with as a future."""
    outcome = asyncio.get_running_loop().create_future()
    request = Request(inputs=inputs, deadline_s=0.0)
    return worker.run([request], lambda outcomes: outcome.set_result(outcomes[0])), outcome


async def test_a_worker_answers_as_the_model_does(template, tmp_path):
    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:
        result = await worker.infer(floats([1, 2, 3, 4], [5, 6, 7, 8]), timeout_s=PATIENCE_S)

    assert to_array(result.outputs[0]).tolist() == [[3, 4, 5, 6], [7, 8, 9, 10]]
    assert result.run_s > 0
    assert worker.load_s > 0
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


async def test_requests_of_a_batch_each_get_their_own_answer(template, tmp_path):
    variant = msgspec.structs.replace(ADD_SPEC.variant, batching=Batching(max_rows=8))
    spec = msgspec.structs.replace(ADD_SPEC, variant=variant)
    requests = [Request(inputs=floats(*[[i] * 4] * rows), deadline_s=0.0) for i, rows in enumerate((1, 3, 2))]
    outcome = asyncio.get_running_loop().create_future()

    async with started(template, tmp_path, spec, ADD) as worker:
        worker.run(requests, outcome.set_result)
        results = await outcome

    assert [to_array(result.outputs[0]).tolist() for result in results] == [
        [[i + 2] * 4] * rows for i, rows in enumerate((1, 3, 2))
    ]
    assert [result.batch for result in results] == [3, 3, 3]


async def test_twenty_requests_at_once_each_get_their_own_answer(template, tmp_path):
    spec = msgspec.structs.replace(ADD_SPEC, parallel=2)
    async with started(template, tmp_path, spec, ADD) as worker:
        results = await asyncio.gather(*(worker.infer(floats([i] * 4), timeout_s=PATIENCE_S) for i in range(20)))

    assert [to_array(result.outputs[0])[0, 0] for result in results] == [i + 2 for i in range(20)]


async def test_a_request_that_fails_leaves_the_worker_serving(template, tmp_path):
    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:
        for wrong in (
            [],
            [to_tensor("z", np.zeros((1, 4), np.float32))],
            [to_tensor("x", np.zeros((1, 4), np.int32))],
            floats([1, 2]),
        ):
            with pytest.raises(TensorError):
                await worker.infer(wrong, timeout_s=PATIENCE_S)
            # What a check in the daemon would let through is refused by the worker, which goes on.
            _, outcome = begin(worker, wrong)
            assert isinstance(await outcome, TensorError)
        for outputs in (["nothing"], ["y", "y"], ["y"] * 100):
            with pytest.raises(TensorError, match="output"):
                await worker.infer(floats([1, 2, 3, 4]), outputs, timeout_s=PATIENCE_S)

        result = await worker.infer(floats([1, 2, 3, 4]), timeout_s=PATIENCE_S)
        assert worker.is_usable

    assert to_array(result.outputs[0]).tolist() == [[3, 4, 5, 6]]


async def test_two_runs_overlap_in_one_worker(template, tmp_path):
    """One of them would run for ever; the other is begun after it and ends before it."""
    async with started(template, tmp_path, PARALLEL_LOOP_SPEC, LOOP) as worker:
        number, endless = begin(worker, looping(FOREVER))
        await cpu_time_of(worker.pid)

        result = await worker.infer(looping(1, 7.0), timeout_s=PATIENCE_S)

        assert to_array(result.outputs[0]).tolist() == [7]
        assert not endless.done()
        worker.stop(number)
        assert isinstance(await endless, DeadlineError)


async def test_a_stop_ends_a_run_and_the_worker_goes_on(template, tmp_path):
    async with started(template, tmp_path, LOOP_SPEC, LOOP) as worker:
        for _ in range(3):
            number, endless = begin(worker, looping(FOREVER))
            await cpu_time_of(worker.pid)
            worker.stop(number)
            assert isinstance(await endless, DeadlineError)

        result = await worker.infer(looping(1), timeout_s=PATIENCE_S)
        assert worker.is_usable

    assert to_array(result.outputs[0]).tolist() == [1]


async def test_a_stop_reaches_a_run_that_the_worker_has_not_begun(template, tmp_path):
    """It waits behind another one; that one goes on."""
    async with started(template, tmp_path, LOOP_SPEC, LOOP) as worker:
        first, endless = begin(worker, looping(FOREVER))
        second, waiting = begin(worker, looping(1))
        worker.stop(second)

        assert isinstance(await waiting, DeadlineError)
        assert not endless.done()
        worker.stop(first)
        assert isinstance(await endless, DeadlineError)


async def test_a_worker_that_does_not_stop_is_ended(template, tmp_path):
    async with started(template, tmp_path, LOOP_SPEC, LOOP, stop_within_s=0.2) as worker:
        number, endless = begin(worker, looping(FOREVER))
        await cpu_time_of(worker.pid)
        os.kill(worker.pid, signal.SIGSTOP)
        worker.stop(number)
        outcome = await endless

        assert isinstance(outcome, WorkerLostError)
        assert outcome.facts == {"signal": 9}
        assert "told to stop" in str(outcome)
        assert worker.lost.is_set()


async def test_a_deadline_while_running_stops_the_run_and_the_worker_goes_on(template, tmp_path):
    async with started(template, tmp_path, LOOP_SPEC, LOOP) as worker:
        with pytest.raises(DeadlineError, match="no answer within"):
            await worker.infer(looping(FOREVER), timeout_s=0.2)

        result = await worker.infer(looping(1), timeout_s=PATIENCE_S)
        assert worker.is_usable

    assert to_array(result.outputs[0]).tolist() == [1]


async def test_a_caller_that_leaves_does_not_disturb_the_next(template, tmp_path):
    """The answer to an abandoned request must not be taken for the answer to the next one."""
    async with started(template, tmp_path, LOOP_SPEC, LOOP) as worker:
        leaving = asyncio.ensure_future(worker.infer(looping(FOREVER), timeout_s=PATIENCE_S))
        await cpu_time_of(worker.pid)
        leaving.cancel()

        result = await worker.infer(looping(1, 7.0), timeout_s=PATIENCE_S)

    assert to_array(result.outputs[0]).tolist() == [7]


async def test_a_crash_costs_exactly_the_runs_under_way(template, tmp_path):
    async with started(template, tmp_path, PARALLEL_LOOP_SPEC, LOOP) as worker:
        before = await worker.infer(looping(1), timeout_s=PATIENCE_S)
        under_way = [begin(worker, looping(FOREVER))[1] for _ in range(2)]
        await cpu_time_of(worker.pid)
        os.kill(worker.pid, signal.SIGKILL)

        for outcome in await asyncio.gather(*under_way):
            assert isinstance(outcome, WorkerLostError)
            assert outcome.facts == {"signal": 9}
        assert worker.lost.is_set()
        with pytest.raises(WorkerLostError):
            await worker.infer(looping(1), timeout_s=PATIENCE_S)

    async with started(template, tmp_path, LOOP_SPEC, LOOP) as worker:
        after = await worker.infer(looping(1), timeout_s=PATIENCE_S)
    assert to_array(before.outputs[0]).tolist() == to_array(after.outputs[0]).tolist() == [1]


async def test_a_crash_while_idle_is_noticed_without_a_request(template, tmp_path):
    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:
        os.kill(worker.pid, signal.SIGSEGV)

        await worker.lost.wait()
        assert not worker.is_usable


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
    assert await has_no_children(template.pid)


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
    assert has_ended(pidfd, timeout_s=0)
    await worker.close()
    assert template.pid is None


async def test_a_template_that_dies_takes_its_workers_along_and_is_started_again(template, tmp_path):
    """Workers are its children and share its memory; what a new one serves comes from a new template."""
    with opened(tmp_path, ADD) as descriptors:
        worker = await template.start_worker(ADD_SPEC, descriptors, timeout_s=PATIENCE_S)
        first = template.pid
        os.kill(first, signal.SIGKILL)
        await worker.lost.wait()
        assert worker.ended_with_template
        with pytest.raises(BackendError, match="the runtime's process ended") as caught:
            await worker.infer(floats([1, 2, 3, 4]), timeout_s=PATIENCE_S)
        assert type(caught.value) is BackendError, "no fault of the model"
        await worker.close()

        async with await template.start_worker(ADD_SPEC, descriptors, timeout_s=PATIENCE_S) as worker:
            result = await worker.infer(floats([1, 2, 3, 4]), timeout_s=PATIENCE_S)

    assert to_array(result.outputs[0]).tolist() == [[3, 4, 5, 6]]
    assert template.pid != first


@pytest.mark.parametrize("victim", ["worker", "template"])
async def test_a_run_ends_only_when_its_process_is_gone(template, tmp_path, victim):
    """Whoever gets its memory next must not meet a process that still writes to it; also when nobody is left to report its end."""
    async with started(template, tmp_path, LOOP_SPEC, LOOP) as worker:
        pidfd = os.pidfd_open(worker.pid)
        was_gone = asyncio.get_running_loop().create_future()
        worker.run(
            [Request(inputs=looping(FOREVER), deadline_s=0.0)],
            lambda outcomes: was_gone.set_result(has_ended(pidfd, timeout_s=0)),
        )
        await cpu_time_of(worker.pid)
        os.kill(worker.pid if victim == "worker" else template.pid, signal.SIGKILL)

        assert await was_gone


async def test_starting_in_no_time_leaves_no_process(template, tmp_path):
    with opened(tmp_path, ADD) as descriptors, pytest.raises(ModelLoadError, match="not loaded after"):
        await template.start_worker(ADD_SPEC, descriptors, timeout_s=0)

    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:
        await worker.infer(floats([1, 2, 3, 4]), timeout_s=PATIENCE_S)
        assert await has_no_children(template.pid, but=worker.pid)


async def test_a_worker_that_is_forked_when_nobody_waits_any_more_is_ended(template, tmp_path):
    os.kill(template.pid, signal.SIGSTOP)
    with opened(tmp_path, ADD) as descriptors, pytest.raises(ModelLoadError, match="not loaded after"):
        await template.start_worker(ADD_SPEC, descriptors, timeout_s=0.05)
    os.kill(template.pid, signal.SIGCONT)

    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:  # behind the late one in the template's queue
        assert await has_no_children(template.pid, but=worker.pid)


async def test_a_worker_that_does_not_finish_loading_is_ended(template, tmp_path, monkeypatch):
    load = Worker.load
    pids = []

    async def load_without_end(worker):
        pids.append(worker.pid)
        os.kill(worker.pid, signal.SIGSTOP)
        skip_s(monkeypatch, PATIENCE_S)
        await load(worker)

    monkeypatch.setattr(Worker, "load", load_without_end)
    monkeypatch.setattr(patience, "LATE", PATIENCE_S)
    with opened(tmp_path, ADD) as descriptors, pytest.raises(ModelLoadError, match="not loaded after"):
        await template.start_worker(ADD_SPEC, descriptors, timeout_s=PATIENCE_S)

    assert len(pids) == 1
    assert await has_no_children(template.pid)


async def test_a_machine_that_was_paused_is_no_fault_of_the_model_that_was_loaded_or_asked(
    template, tmp_path, monkeypatch
):
    load = Worker.load

    async def load_after_a_pause(worker):
        skip_s(monkeypatch, 10 * PATIENCE_S)
        await load(worker)

    monkeypatch.setattr(Worker, "load", load_after_a_pause)

    async with started(template, tmp_path, ADD_SPEC, ADD) as worker:
        asyncio.get_running_loop().call_soon(skip_s, monkeypatch, 10 * PATIENCE_S)
        assert await worker.infer(floats([1, 2, 3, 4]), timeout_s=PATIENCE_S)


def has_ended(pidfd: int, *, timeout_s: float = PATIENCE_S) -> bool:
    """Tell whether a process ends in time."""
    try:
        return bool(select.select([pidfd], [], [], timeout_s)[0])
    finally:
        os.close(pidfd)


def children_of(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


async def has_no_children(pid: int, *, but: int = 0) -> bool:
    """Wait until a process has no children any more, but one."""
    async with asyncio.timeout(PATIENCE_S):
        while children_of(pid) - {but}:  # noqa: ASYNC110 - another process's children, which set no event
            await asyncio.sleep(0)
    return True


async def cpu_time_of(pid: int) -> None:
    """Wait until a process that was idle computes: its model runs."""

    def ticks() -> int:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11])

    before = ticks()
    while ticks() == before:  # noqa: ASYNC110 - another process's clock, which sets no event
        await asyncio.sleep(0)
