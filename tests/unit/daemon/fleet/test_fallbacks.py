"""Which of a manifest's rules is obeyed, with fake workers: what fails makes way for the next, and for nobody else."""

import asyncio
from contextlib import suppress

import pytest

from edged.bundle.fallback import Constant, ConstantOutput, PreviousVersion, Refuse
from edged.config.schema import ServeConfig
from edged.daemon.fleet.diary import Diary
from edged.daemon.fleet.fallbacks import Fallbacks
from edged.daemon.fleet.fleet import Fleet
from edged.daemon.fleet.stop_switch import StopSwitch
from edged.daemon.lifecycle.rests import RETRY_AFTER_S, Rests
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.serving import Serving
from edged.errors import BackendError, ModelStoppedError
from edged.ids import ModelName
from edged.ops.segments import Device
from edged.select.machine import Machine
from edged.store.layout import StoreLayout
from edged.store.state import StateDb
from tests.fakes.clocks import ManualClock
from tests.fakes.requests import Asked, request_of
from tests.fakes.served_workers import HeldTime, Starter, loadable_of, settle
from tests.fakes.store_documents import StoreDocuments

ECHO = ModelName("echo")
CONSTANT = Constant(outputs=(ConstantOutput(name="x", dtype="UINT8", shape=(1, 1), data=(7,)),))
BOTH = (PreviousVersion(), CONSTANT)


class FakePredecessors:
    """The versions before, as a test says."""

    def __init__(self) -> None:
        self.bundles: list[object] = []
        self.trouble: Exception | None = None

    def last(self, _model):
        return None

    def before(self, _model, _version):
        if self.trouble is not None:
            raise self.trouble
        return [(bundle, "v") for bundle in self.bundles]


def loadable(version: str, *rules, name: str = "echo"):
    found = loadable_of(version, name=name)
    bundle = found.bundle
    bundle.manifest.fallback, bundle.manifest.variants = rules, (found.variant,)
    bundle.digest, bundle.variants = f"{name} {version}", (type(found.variant)(
        **{field: getattr(found.variant, field) for field in found.variant.__struct_fields__} | {"id": "v"}
    ),)  # fmt: skip
    return found


class Bench:
    """A store, models with fake workers, and what finds stand-ins for them."""

    def __init__(self, directory, time: HeldTime) -> None:
        layout = StoreLayout(directory / "store")
        self.time, self.clock = time, ManualClock()
        self.documents, self.starter = StoreDocuments(layout), Starter()
        self.serving = Serving(start_worker=self.starter, parallel=1, poison_rest_s=600.0, limits=ServeConfig)
        self.state = StateDb.open(directory / "state.db")
        table = SlotTable(self.state, self.clock, in_use=directory / "in-use.json")
        self.diary = Diary(self.state, self.clock.unix_s)
        self.fleet = Fleet(
            layout=layout, state=self.state, diary=self.diary, device=Device(id="d", arch="amd64"), clock=self.clock,
            now_s=self.clock.monotonic_s,
        )  # fmt: skip
        switch = StopSwitch(
            fleet=self.fleet, serving=self.serving, table=table, diary=self.diary, poll_interval_s=lambda: 60.0
        )
        self.predecessors = FakePredecessors()
        self.fallbacks = Fallbacks(
            switch=switch, serving=self.serving, table=table, predecessors=self.predecessors,
            machine=Machine(arch="amd64", memory_bytes=1 << 30), diary=self.diary, rests=Rests(self.clock),
        )  # fmt: skip
        self.serving.supervise(self.fallbacks.review)
        self.fleet.on_change(self.fallbacks.review_all)

    async def put(self, version: str, *rules, name: str = "echo"):
        self.serving.put(await self.serving.load(loadable(version, *rules, name=name)))
        await settle()
        return self.starter.last

    async def stop(self, *models: str, action: str = "fall-back") -> None:
        self.documents.stop(*models, action=action)
        self.fleet.look()
        await settle()

    async def pass_s(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.time.pass_s(seconds)
        await settle()

    @property
    def use(self) -> str:
        """By which rule something answers; empty when nothing does."""
        stand_in = self.serving.stand_ins.get(ECHO)
        return "" if stand_in is None else stand_in.use

    def ask(self, name: str = "echo") -> Asked:
        asked = Asked(request_of(b"a", deadline_s=self.time.now_s + 30.0))
        self.serving.submit(name, None, asked.call)
        return asked


@pytest.fixture
async def bench(tmp_path, monkeypatch):
    bench = Bench(tmp_path, HeldTime(monkeypatch))
    async with bench.serving:
        running = asyncio.create_task(bench.fallbacks.run())
        await settle()
        yield bench
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    bench.state.close()


async def test_rules_are_tried_in_order_and_the_first_is_tried_again_later(bench):
    await bench.put("1.1.0", *BOTH)
    bench.predecessors.bundles = [loadable("1.0.0").bundle]
    bench.starter.troubles.append(BackendError("no process for now"))
    await bench.stop("echo")
    assert bench.use == "constant"
    await bench.pass_s(RETRY_AFTER_S + 11)
    assert bench.use == "previous-version"
    asked = bench.ask()
    bench.starter.last.answer_all()
    assert asked.answer == b"a"


async def test_version_whose_worker_cannot_be_started_again_makes_way_for_the_next_rule(bench):
    await bench.put("1.1.0", *BOTH)
    bench.predecessors.bundles = [loadable("1.0.0").bundle]
    await bench.stop("echo")
    assert bench.use == "previous-version"
    bench.starter.troubles.append(BackendError("no memory"))
    bench.starter.last.die()
    await settle()

    assert bench.use == "constant"


async def test_model_whose_worker_cannot_be_started_is_replaced_until_it_can(bench):
    worker = await bench.put("1.0.0", CONSTANT)
    bench.starter.troubles.append(BackendError("no memory"))
    worker.die()
    await settle()
    assert bench.use == "constant"
    asked = bench.ask()
    await settle()
    assert asked.answer == b"\x07"
    await bench.pass_s(1.0)

    assert bench.use == ""
    await bench.diary.write()
    told = [str(entry.what) for entry in reversed(bench.state.read_history())]
    assert told == ["fell-back", "answers-again"]


@pytest.mark.parametrize("rules", [(), (Refuse(),), (PreviousVersion(),), (PreviousVersion(), Refuse())])
async def test_without_a_rule_that_applies_requests_are_refused(bench, rules):
    await bench.put("1.0.0", *rules)
    await bench.stop("echo")

    assert bench.use == ""
    with pytest.raises(ModelStoppedError):
        bench.ask()


async def test_trouble_with_one_models_fallback_is_nobody_elses(bench, caplog):
    """All are stopped first, and what cannot be found out for one is found out for the others."""
    await bench.put("1.0.0", *BOTH)
    await bench.put("1.0.0", CONSTANT, name="zoo")
    bench.predecessors.trouble = OSError("input/output error")
    await bench.stop("echo", "zoo")

    with pytest.raises(ModelStoppedError):
        bench.ask()
    asked = bench.ask("zoo")
    await settle()
    assert asked.answer == b"\x07"
    assert "cannot be found out" in caplog.text
    bench.predecessors.trouble = None
    await bench.pass_s(11)
    assert bench.use == "constant"


async def test_stop_is_lifted_while_a_version_is_being_loaded(bench):
    """What was loaded in vain is ended, and the model answers."""
    await bench.put("1.1.0", *BOTH)
    bench.predecessors.bundles = [loadable("1.0.0").bundle]
    bench.documents.stop("echo", action="fall-back")
    bench.fleet.look()
    bench.documents.stop()
    bench.fleet.look()
    await settle()

    assert bench.use == ""
    active, *others = bench.starter.workers
    asked = bench.ask()
    active.answer_all()
    assert asked.answer == b"a"
    assert all(worker.is_closed for worker in others)
