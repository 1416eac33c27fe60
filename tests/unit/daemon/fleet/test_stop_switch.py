"""Which models are held, by the fleet's documents and whatever version is about to answer."""

from contextlib import contextmanager

import pytest

from edged.config.schema import ServeConfig
from edged.daemon.fleet.diary import Diary
from edged.daemon.fleet.fleet import Fleet
from edged.daemon.fleet.stop_switch import StopSwitch
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.serving import Serving
from edged.errors import ModelStoppedError, ModelUnknownError
from edged.ids import ModelName
from edged.ops.segments import Device
from edged.store.layout import StoreLayout
from edged.store.state import StateDb
from tests.fakes.clocks import ManualClock
from tests.fakes.requests import Asked, request_of
from tests.fakes.served_workers import HeldTime, Starter, loadable_of, settle
from tests.fakes.store_documents import REASON, StoreDocuments

ECHO = ModelName("echo")


class Machine:
    """A store, a state.db and models with fake workers."""

    def __init__(self, directory, time: HeldTime) -> None:
        self.layout = StoreLayout(directory / "store")
        self.documents = StoreDocuments(self.layout)
        self.time = time
        self.starter = Starter()
        self.serving = Serving(start_worker=self.starter, parallel=1, poison_rest_s=600.0, limits=ServeConfig)
        self.state = StateDb.open(directory / "state.db")
        self.table = SlotTable(self.state, ManualClock(), in_use=directory / "in-use.json")

    @contextmanager
    def started(self):
        """Start what obeys; the history is written at the end."""
        clock = ManualClock()
        diary = Diary(self.state, clock.unix_s)
        fleet = Fleet(
            layout=self.layout, state=self.state, diary=diary, device=Device(id="d", arch="amd64"), clock=clock,
            now_s=clock.monotonic_s,
        )  # fmt: skip
        switch = StopSwitch(
            fleet=fleet, serving=self.serving, table=self.table, diary=diary, poll_interval_s=lambda: 60.0
        )
        self.serving.supervise(switch.review)
        fleet.on_change(lambda: [switch.review(model) for model in switch.models])
        for model in switch.models:
            switch.review(model)
        self.diary, self.switch = diary, switch
        yield fleet

    async def put(self, version: str):
        self.serving.put(await self.serving.load(loadable_of(version)))
        await settle()
        return self.starter.last

    def ask(self) -> Asked:
        asked = Asked(request_of(b"a", deadline_s=self.time.now_s + 30.0))
        self.serving.submit("echo", None, asked.call)
        return asked

    async def happenings(self):
        await self.diary.write()
        return [str(entry.what) for entry in reversed(self.state.read_history(model="echo"))]


@pytest.fixture
async def machine(tmp_path, monkeypatch):
    machine = Machine(tmp_path, HeldTime(monkeypatch))
    async with machine.serving:
        yield machine
    machine.state.close()


async def test_stop_is_obeyed_in_the_turn_in_which_it_is_read(machine):
    with machine.started() as fleet:
        worker = await machine.put("1.0.0")
        asked = machine.ask()
        machine.documents.stop("echo")
        fleet.look()

        assert isinstance(asked.error, ModelStoppedError)
        with pytest.raises(ModelStoppedError, match=REASON):
            machine.ask()
        assert worker.stopped
        assert await machine.happenings() == ["stopped"]


async def test_version_that_is_stopped_never_answers_and_the_next_one_does(machine):
    machine.documents.stop("echo", versions=("1.1.0",))
    with machine.started():
        first = await machine.put("1.0.0")
        machine.ask()
        first.answer_all()
        await machine.put("1.1.0")
        with pytest.raises(ModelStoppedError):
            machine.ask()
        await machine.put("1.2.0")
        machine.ask()

        assert await machine.happenings() == ["stopped", "stop-lifted"]


async def test_version_that_was_replaced_and_is_stopped_then_finishes_nothing(machine):
    with machine.started() as fleet:
        await machine.put("1.0.0")
        asked = machine.ask()
        await machine.put("1.1.0")
        machine.documents.stop("echo", versions=("1.0.0",))
        fleet.look()

        assert isinstance(asked.error, ModelStoppedError)
        machine.ask()


async def test_history_tells_a_stop_once_over_restarts_and_its_end_also_when_it_came_in_between(machine):
    await machine.put("1.0.0")
    machine.documents.stop("echo")
    for _ in range(3):
        with machine.started():
            assert await machine.happenings() == ["stopped"]
    machine.documents.stop()
    with machine.started():
        assert await machine.happenings() == ["stopped", "stop-lifted"]


async def test_model_that_this_device_has_nothing_to_do_with_stays_unknown(machine):
    machine.documents.stop("echo")
    with machine.started(), pytest.raises(ModelUnknownError):
        machine.ask()


async def test_model_that_a_rollout_names_is_stopped_before_it_is_here(machine):
    machine.documents.stop("echo")
    machine.documents.roll_out(echo="1.0.0")
    with machine.started(), pytest.raises(ModelStoppedError):
        machine.ask()


@pytest.mark.parametrize(("is_sensitive", "expected_s"), [(False, 60), (True, 5)])
async def test_callers_are_told_when_the_next_news_come(machine, is_sensitive, expected_s):
    """Devices poll more often while a flag says that stops matter much."""
    machine.documents.stop("echo")
    machine.documents.flags(**{"edged.stop-sensitive": {"default": is_sensitive}})
    with machine.started():
        await machine.put("1.0.0")
        with pytest.raises(ModelStoppedError) as caught:
            machine.ask()

    assert caught.value.retry_after_s == expected_s
