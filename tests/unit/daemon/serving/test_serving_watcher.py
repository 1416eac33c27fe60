"""Whoever uses workers beside the queue is told of every change, and waited for before a worker is ended."""

import asyncio

import pytest

from edged.config.schema import ServeConfig
from edged.daemon.serving.serving import Serving
from edged.errors import BackendError, ModelStoppedError
from edged.ids import ModelName
from tests.fakes.served_workers import HeldTime, Starter, loadable_of, settle

ECHO = ModelName("echo")


class Watching:
    """Notes what it is told; lets a version go when a test says so."""

    def __init__(self, serving: Serving) -> None:
        self.told: list[tuple[str, object]] = []
        self.may_go = asyncio.Event()
        self.let_go_of: list[str] = []
        self.counts = 0
        self.stopped_with: list[tuple[str, str]] = []
        self._serving = serving

    def changed(self, model) -> None:
        served = self._serving.served.get(model)
        version = None if served is None else served.loadable.bundle.manifest.version
        self.told.append((version, None if served is None else served.worker or served.start_error))

    def stopped(self, model, error) -> None:
        self.stopped_with.append((model, error.code))

    async def let_go(self, served) -> None:
        self.let_go_of.append(served.loadable.bundle.manifest.version)
        await self.may_go.wait()

    def count(self) -> None:
        self.counts += 1

    def running(self, served) -> int:
        return 5


@pytest.fixture
async def device(monkeypatch):
    time, starter = HeldTime(monkeypatch), Starter()
    serving = Serving(start_worker=starter, parallel=1, poison_rest_s=600.0, limits=ServeConfig)
    watching = Watching(serving)
    serving.watch(watching)
    async with serving:
        yield time, starter, serving, watching
        watching.may_go.set()


async def swap_to(serving, version):
    serving.put(await serving.load(loadable_of(version)))
    await settle()


async def test_versions_workers_and_their_absence_are_told(device):
    time, starter, serving, watching = device
    await swap_to(serving, "1.0.0")
    first = starter.last
    first.die()
    await settle()
    second = starter.last
    starter.troubles = [BackendError("not today")]
    second.die()
    await settle()
    await time.pass_s(1.0)
    await swap_to(serving, "2.0.0")
    serving.remove(ECHO)

    assert watching.told == [
        ("1.0.0", first), ("1.0.0", second), ("1.0.0", "not today"), ("2.0.0", starter.last), (None, None)
    ]  # fmt: skip


async def test_a_worker_is_ended_when_its_last_user_has_let_go(device):
    _, starter, serving, watching = device
    await swap_to(serving, "1.0.0")
    old = starter.last
    await swap_to(serving, "2.0.0")
    assert watching.let_go_of == ["1.0.0"]
    assert not old.is_closed

    watching.may_go.set()
    await settle()
    assert old.is_closed
    assert not starter.last.is_closed


async def test_statistics_are_brought_up_to_date_before_anybody_sees_them(device):
    _, _, serving, watching = device
    await swap_to(serving, "1.0.0")
    (usage,) = serving.usage()
    assert (usage.running, watching.counts) == (5, 1)

    serving.stats("echo")
    assert watching.counts == 2


async def test_stop_is_told_before_the_change_and_only_once(device):
    """Whoever lends connections ends them at once then, rather than waiting for what is under way."""
    _, _, serving, watching = device
    await swap_to(serving, "1.0.0")
    before = len(watching.told)
    for _ in range(2):
        serving.hold(ECHO, lambda: ModelStoppedError("wrong on snow"))

    assert watching.stopped_with == [("echo", "model-stopped")]
    assert len(watching.told) == before + 1
    serving.release(ECHO)
    serving.release(ECHO)
    assert len(watching.told) == before + 2
