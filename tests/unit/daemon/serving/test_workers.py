"""What a worker is told when it is started: its limits, from the manifest and from the settings."""

import os

import pytest

from edged.bundle.read import read_bundle
from edged.config.schema import ServeConfig, WorkerConfig
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.workers import Workers, parallel_of
from edged.runtime.wire import SequenceLimits
from edged.worker.pool import STACK_BYTES
from tests.fakes.bundles import make_bundle


class FakeTemplate:
    """Keeps what it was asked to start."""

    async def start_worker(self, spec, files, **options):
        self.spec = spec
        self.files = len(files)
        self.options = options


@pytest.fixture
def loadable(tmp_path):
    bundle = read_bundle(make_bundle(tmp_path))
    return Loadable(bundle=bundle, variant=bundle.variants[0])


def test_worker_runs_as_many_at_once_as_there_are_cores_that_may_be_used(monkeypatch):
    """Of a machine's cores a service may have been given only some (CPUAffinity= of its unit)."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {1, 3, 5})

    assert parallel_of(WorkerConfig()) == 3
    assert parallel_of(WorkerConfig(parallel=7)) == 7


def test_a_machine_with_hundreds_of_cores_leaves_a_worker_memory_for_its_model(monkeypatch):
    """Each run at once has a thread, and its stack counts."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(384)))

    assert parallel_of(WorkerConfig()) * STACK_BYTES <= WorkerConfig().memory_floor_bytes / 4
    assert parallel_of(WorkerConfig(parallel=128)) == 128


async def test_worker_gets_the_limits_that_are_in_force_when_it_starts(loadable):
    template, memory = FakeTemplate(), object()
    limits = [ServeConfig()]
    config = WorkerConfig(parallel=3, memory_floor_bytes=1 << 20, load_timeout_s=7.0, stop_within_s=2.0)
    workers = Workers(template, config, lambda: limits[-1])
    limits.append(
        ServeConfig(max_sequences=9, max_sequences_per_caller=3, max_sequence_bytes=1 << 10, sequence_idle_s=4.0)
    )
    await workers.start(loadable, memory)

    assert template.spec.parallel == 3
    assert template.spec.memory_limit_bytes == (1 << 20) + loadable.variant.budget.memory_bytes
    assert template.spec.sequences == SequenceLimits(most=9, most_per_caller=3, most_bytes=1 << 10, idle_s=4.0)
    assert template.options == {"timeout_s": 7.0, "memory": memory, "stop_within_s": 2.0}
    assert template.files == len(template.spec.files)
