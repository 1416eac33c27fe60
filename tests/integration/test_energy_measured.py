"""What runs of real workers cost, on a device whose battery is made up: joules go by the processor time that the kernel counts."""

import asyncio
import itertools
from contextlib import AsyncExitStack
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from edged.bundle.manifest import Session
from edged.config.schema import ServeConfig
from edged.daemon.budget import BudgetBook, work_of
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.serving import Serving
from edged.energy.processors import read_processor_s
from edged.host.template import Template
from edged.ids import ModelName, Version
from edged.pipeline.pipeline import Pipeline
from edged.sense.context import Context
from edged.sense.reading import known
from edged.worker.arrays import to_tensor
from tests.fakes import models
from tests.fakes.clocks import ManualClock
from tests.fakes.workers import opened, spec_of, variant_of, worker_spec

PATIENCE_S = 120.0
STEP_S, USED_S = 2.0, 0.3
"""Between two looks; of which each worker uses at least so much, which the kernel counts in hundredths of a second."""
IDLE_WATTS, BUSY_WATTS = 3.0, 9.0
GAUGE = ModelName("gauge")
SIDE = 384
X, Y = spec_of("x", "FP32", (SIDE, SIDE)), spec_of("y", "FP32", (SIDE, SIDE))


def multiplying_model():
    """``y`` is ``x`` times a matrix, several times over: work that threads can share."""
    names = ["x", *(f"part{i}" for i in range(7)), "y"]
    nodes = [models.helper.make_node("MatMul", [given, "weights"], [made]) for given, made in itertools.pairwise(names)]
    shape = [SIDE, SIDE]
    return models.build(
        nodes,
        [("x", models.FLOAT, shape)],
        [("y", models.FLOAT, shape)],
        initializers=[models.constant("weights", np.eye(SIDE))],
    ).SerializeToString()


MODEL = multiplying_model()
ONE, TWO = (
    msgspec.structs.replace(variant_of(MODEL, [X], [Y]), id=f"gauge-1.0.0-{name}-any", session=Session(threads=threads))
    for name, threads in (("one", 1), ("two", 2))
)


class Device:
    """A model in two variants, both at work."""

    def __init__(self, directory, serving):
        self.serving = serving
        self.clock = ManualClock()
        self.busy_s = 0.0
        self.contexts = SimpleNamespace(current=Context(), on_change=lambda told: None)
        self.read = {}
        """What was read last of each worker."""
        self.book = BudgetBook(
            directory / "budget.json",
            spent=directory / "spent.json",
            contexts=self.contexts,
            work=lambda: work_of(serving, self._read),
            clock=self.clock,
            unix_s=self.clock.unix_s,
            read_busy=lambda: self.busy_s,
        )

    def _read(self, pid):
        self.read[pid] = read_processor_s(pid)
        return self.read[pid]

    def look(self, watts):
        self.clock.advance(STEP_S)
        self.busy_s += STEP_S
        self.contexts.current = Context(power_watts=known(watts))
        self.book.look()

    async def work(self, served):
        """Have a variant run until it has used enough to be seen."""
        pid, sent = served.worker.pid, to_tensor("x", np.ones((SIDE, SIDE), np.float32))
        enough_s = read_processor_s(pid) + USED_S
        while read_processor_s(pid) < enough_s:
            await served.infer([sent], timeout_s=PATIENCE_S)

    def spent(self, variant):
        return self.book.book.days[0].models["gauge"].variants[variant.id]


@pytest.fixture
async def device(tmp_path):
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(PATIENCE_S))
        template = await stack.enter_async_context(Template())

        async def start(loadable, memory):
            spec = msgspec.structs.replace(worker_spec(MODEL, [X], [Y]), variant=loadable.variant)
            with opened(tmp_path, MODEL) as descriptors:
                return await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S, memory=memory)

        serving = Serving(start_worker=start, parallel=1, poison_rest_s=600.0, limits=ServeConfig)
        await stack.enter_async_context(serving)
        manifest = SimpleNamespace(
            name="gauge",
            model=GAUGE,
            version="1.0.0",
            semver=Version.parse("1.0.0"),
            variants=(ONE, TWO),
            pipeline=Pipeline(inputs=(X,), outputs=(Y,)),
        )
        bundle = SimpleNamespace(manifest=manifest, digest="a" * 64, variants=manifest.variants)
        serving.put(await serving.load(Loadable(bundle=bundle, variant=ONE)))
        serving.add(await serving.load(Loadable(bundle=bundle, variant=TWO)))
        yield Device(tmp_path, serving)


async def test_joules_go_by_the_processor_time_of_workers_with_one_thread_and_with_two(device):
    for _ in range(4):
        device.look(IDLE_WATTS)
    one, two = device.serving.variants(GAUGE)
    pids, before = (one.worker.pid, two.worker.pid), dict(device.read)
    await device.work(one)
    await device.work(two)
    device.look(BUSY_WATTS)

    used_s = [device.read[pid] - before[pid] for pid in pids]
    above, share = (BUSY_WATTS - IDLE_WATTS) * STEP_S, min(1.0, sum(used_s) / STEP_S)
    joules = [device.spent(variant).joules for variant in (ONE, TWO)]
    assert joules == pytest.approx([above * share * each / sum(used_s) for each in used_s])
    assert [device.spent(variant).measured_runs for variant in (ONE, TWO)] == [
        served.run_times.count for served in (one, two)
    ]


async def test_a_worker_that_has_replaced_another_one_begins_anew(device):
    """What it used to load its model is no run; what it runs counts by its processor time from the next look on."""
    one, _ = device.serving.variants(GAUGE)
    for _ in range(4):
        device.look(IDLE_WATTS)
    replaced = asyncio.Event()
    device.serving.on_change(lambda _model: replaced.set() if one.worker is not None else None)
    lost = one.worker
    lost.kill()
    await lost.lost.wait()
    await replaced.wait()
    device.look(IDLE_WATTS)
    assert device.book.book.days[0].models == {}, "nothing has run"

    before = device.read[one.worker.pid]
    await device.work(one)
    device.look(BUSY_WATTS)

    used_s = device.read[one.worker.pid] - before
    assert one.worker.pid != lost.pid
    assert device.spent(ONE).joules == pytest.approx((BUSY_WATTS - IDLE_WATTS) * min(used_s, STEP_S))
