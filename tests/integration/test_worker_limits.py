"""What a worker may not do: outgrow its memory, keep what it was not handed, outlive who it works for."""

import asyncio
import os
import re
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from edged.errors import BackendError, ModelLoadError
from edged.host.template import Template
from edged.worker.arrays import to_array, to_tensor
from edged.worker.confine import MAX_OPEN_FILES
from tests.fakes import models
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import opened, spec_of, worker_spec

MEMORY_BYTES = 160 << 20


@pytest.fixture
async def template():
    async with asyncio.timeout(PATIENCE_S):
        async with Template() as template:
            yield template


@pytest.fixture
async def allocator(template, tmp_path):
    model = models.allocating_model()
    spec = worker_spec(
        model, [spec_of("count", "INT64", (1,))], [spec_of("y", "FP32", (-1,))], memory_limit_bytes=MEMORY_BYTES
    )
    with opened(tmp_path, model) as descriptors:
        worker = await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S)
    async with worker:
        yield worker


def count(number):
    return [to_tensor("count", np.array([number], dtype=np.int64))]


@pytest.mark.parametrize("number", [1 << 28, 1 << 40])
async def test_a_request_that_outgrows_the_memory_limit_gets_an_error(allocator, number):
    """1 GiB and 4 TiB of zeros; the worker answers the next request."""
    with pytest.raises(BackendError):
        await allocator.infer(count(number), timeout_s=PATIENCE_S)

    result = await allocator.infer(count(3), timeout_s=PATIENCE_S)
    assert to_array(result.outputs[0]).tolist() == [0, 0, 0]


def private_bytes(pid):
    """What counts against ``RLIMIT_DATA``."""
    return int(re.search(r"(?m)^VmData:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) << 10


async def test_a_request_that_outgrows_the_memory_limit_leaves_the_memory_to_the_next(allocator):
    """The runtime's arena would ask for all that is left from then on, and let nobody else have any."""
    with pytest.raises(BackendError):
        await allocator.infer(count(1 << 28), timeout_s=PATIENCE_S)
    await allocator.infer(count(3), timeout_s=PATIENCE_S)

    assert private_bytes(allocator.pid) < MEMORY_BYTES * 3 // 4


async def test_a_model_that_outgrows_the_memory_limit_is_refused(template, tmp_path):
    """With the interpreter its weights are more than it may have; the next worker is none the worse."""
    model = models.weighty_model(MEMORY_BYTES // 2)
    spec = worker_spec(
        model, [spec_of("x", "FP32", (-1,))], [spec_of("y", "FP32", (-1,))], memory_limit_bytes=MEMORY_BYTES
    )

    with opened(tmp_path, model) as descriptors:
        with pytest.raises(ModelLoadError, match="memory"):
            await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S)
        spec = worker_spec(model, spec.variant.inputs, spec.variant.outputs, memory_limit_bytes=2 << 30)
        async with await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S) as worker:
            result = await worker.infer([to_tensor("x", np.ones(1, np.float32))], timeout_s=PATIENCE_S)
    assert to_array(result.outputs[0]).tolist() == [1]


async def test_a_limit_below_what_the_runtime_needs_is_an_error_and_no_hang(template, tmp_path):
    model = models.weighty_model(32 << 20)
    spec = worker_spec(model, [spec_of("x", "FP32", (-1,))], [spec_of("y", "FP32", (-1,))], memory_limit_bytes=4096)

    with opened(tmp_path, model) as descriptors, pytest.raises(ModelLoadError):
        await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S)


async def test_a_worker_has_its_limits(allocator):
    limits = {
        resource.RLIMIT_DATA: MEMORY_BYTES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
    }
    for limit, value in limits.items():
        assert resource.prlimit(allocator.pid, limit) == (value, value)


async def test_a_worker_starts_no_thread_for_a_request(allocator):
    """All that it will ever have are there when it is ready: it may not start any later."""
    before = status_of(allocator.pid)["Threads"]
    await asyncio.gather(*(allocator.infer(count(i), timeout_s=PATIENCE_S) for i in range(20)))

    assert status_of(allocator.pid)["Threads"] == before


async def test_a_worker_has_no_new_privileges_and_its_own_session(allocator):
    status = status_of(allocator.pid)

    assert status["NoNewPrivs"] == "1"
    assert status["Name"] == "edged-tiny-1.0."
    assert os.getsid(allocator.pid) == allocator.pid


async def test_a_worker_holds_its_channels_and_nothing_else(template, allocator):
    """No file of the daemon, of the template or of its own model is left open; it waits for its channels with an epoll."""
    held = {str(link.readlink()) for link in descriptors_of(allocator.pid)}
    standard = {str(link.readlink()) for link in descriptors_of(template.pid) if link.name in {"0", "1", "2"}}

    kinds = sorted(name.partition(":[")[0] for name in held - standard)
    assert kinds == ["anon_inode", "anon_inode", "socket", "socket", "socket"]


async def test_a_template_has_one_thread_and_sends_nothing_home(template):
    """A fork copies one thread only; ONNX Runtime's usage reporting would be a second one, with a database open."""
    assert status_of(template.pid)["Threads"] == "1"
    assert len(descriptors_of(template.pid)) <= 5  # standard ones, its socket, its selector


async def test_a_template_and_its_workers_ignore_a_stop_meant_for_the_daemon(template, allocator):
    """Service managers signal every process of a unit; the daemon decides when workers end."""
    for pid in (template.pid, allocator.pid):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)

    result = await allocator.infer(count(1), timeout_s=PATIENCE_S)
    assert to_array(result.outputs[0]).tolist() == [0]


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}


def descriptors_of(pid):
    return list(Path(f"/proc/{pid}/fd").iterdir())
