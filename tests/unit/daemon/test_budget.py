"""The book that the daemon keeps of what models cost."""

import asyncio
from types import SimpleNamespace

import pytest

from edged.daemon.budget import LOOK_EVERY_S, BudgetBook, describe, work_of
from edged.energy.attribution import Process, Work
from edged.energy.days import Book, RunEnergy
from edged.energy.file import read_book
from edged.sense.context import Context, Level
from edged.sense.reading import known, unknown
from edged.update.traffic.spent import SpentDocument, add_spent
from tests.fakes.clocks import ManualClock

KEY = ("gauge", "gauge-1.0.0-fp32-any")
DATE = "2027-01-15"  # of the manual clock


class World:
    def __init__(self, directory):
        self.directory = directory
        self.clock = ManualClock()
        self.contexts = SimpleNamespace(current=Context(), on_change=lambda told: None)
        self.work = {KEY: Work(runs=0, run_s=0.0)}
        self.busy_s = 0.0
        self.book = self.open()

    def open(self):
        return BudgetBook(
            self.directory / "budget.json",
            spent=self.directory / "spent.json",
            contexts=self.contexts,
            work=lambda: self.work,
            clock=self.clock,
            unix_s=self.clock.unix_s,
            read_busy=lambda: self.busy_s,
        )

    def look(self, watts, *, level=Level.NOMINAL, runs=0, run_s=0.0, busy_s=0.5):
        self.contexts.current = Context(
            power_watts=unknown("no sensor") if watts is None else known(watts),
            thermal=unknown("no zone") if level is None else known(level),
        )
        before = self.work[KEY]
        self.work = {KEY: Work(runs=before.runs + runs, run_s=before.run_s + run_s)}
        self.busy_s += busy_s
        self.clock.advance(LOOK_EVERY_S)
        self.book.look()


async def test_energy_bytes_and_levels_of_a_day_come_together(tmp_path):
    world = World(tmp_path)
    for _ in range(5):
        world.look(3.0)
    world.look(5.0, level=Level.SERIOUS, runs=100, run_s=4.0, busy_s=8.0)
    world.book.offloaded("gauge", sent_bytes=10, received_bytes=20)
    add_spent(tmp_path / "spent.json", date=DATE, model="gauge", size=1000)
    add_spent(tmp_path / "spent.json", date=DATE, model="", size=7)

    document = await world.book.budget()

    (day,) = document.days
    (model,) = day.models
    (variant,) = model.variants
    assert (day.date, day.level_s, day.other_update_bytes) == (DATE, {"nominal": 40.0, "serious": 10.0}, 7)
    assert (model.update_bytes, model.offloaded, model.offload_sent_bytes) == (1000, 1, 10)
    assert (variant.runs, variant.joules, variant.joules_per_run, variant.watts) == (100, 10.0, 0.1, 2.5)
    assert (document.energy.baseline_watts, document.energy.reason) == (3.0, "")


def test_energy_of_variants_is_known_without_waiting_for_the_disk_and_after_a_restart(tmp_path):
    world = World(tmp_path)
    for _ in range(5):
        world.look(3.0)
    assert world.book.energy() == {}
    world.look(5.0, runs=100, run_s=4.0, busy_s=8.0)
    known = world.book.energy()
    world.book.write()

    assert known == {KEY[1]: RunEnergy(joules=0.1, watts=2.5)}
    assert world.open().energy() == known


async def test_a_device_that_measures_nothing_says_why(tmp_path):
    world = World(tmp_path)
    for _ in range(3):
        world.look(None, level=None, runs=10, run_s=4.0)

    document = await world.book.budget()

    (day,) = document.days
    assert day.joules is None
    assert day.level_s == {"unknown": 20.0}
    assert day.models[0].variants[0].joules is None
    assert document.energy.reason == "no sensor"


async def test_what_is_known_outlives_the_daemon(tmp_path):
    world = World(tmp_path)
    world.look(3.0)
    running = asyncio.create_task(world.book.run())
    await asyncio.sleep(0)
    world.look(3.0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert read_book(tmp_path / "budget.json") == world.book.book
    assert world.open().book.days[0].level_s == {"nominal": LOOK_EVERY_S}


def test_nothing_is_written_while_there_is_nothing_new(tmp_path):
    world = World(tmp_path)
    world.book.write()

    assert not (tmp_path / "budget.json").exists()


def served_by(worker, *accelerators):
    """A model that nothing but its figures is known of."""
    variant = SimpleNamespace(id=KEY[1], targets=SimpleNamespace(accelerators=accelerators))
    return SimpleNamespace(
        loadable=SimpleNamespace(variant=variant), run_times=SimpleNamespace(count=3, sum=1.5), worker=worker
    )


def work(worker, *accelerators, used_s=2.5):
    """What it has done, where a process used so much."""
    served = served_by(worker, *accelerators)
    serving = SimpleNamespace(served={KEY[0]: served}, variants=lambda _model: [served])
    return work_of(serving, {7: used_s}.get)[KEY]


def test_work_of_a_variant_is_its_runs_and_what_its_worker_used():
    worker = SimpleNamespace(pid=7, is_usable=True)

    assert work(worker, "cpu") == Work(runs=3, run_s=1.5, process=Process(pid=7, processor_s=2.5))
    assert work(worker, "cpu", used_s=None).process is None


@pytest.mark.parametrize("worker", [None, SimpleNamespace(pid=7, is_usable=False)], ids=["none", "one that is gone"])
def test_where_there_is_no_worker_nobody_looks_for_its_process(worker):
    """Its number may be somebody else's by now."""
    assert work(worker, "cpu").process is None


@pytest.mark.parametrize(("accelerators", "may"), [(("cpu",), False), (("cpu", "gpu"), True), (("npu",), True)])
def test_a_variant_may_accelerate_where_its_targets_say_so(accelerators, may):
    assert work(None, *accelerators).may_accelerate is may


def test_a_day_of_updates_alone_is_a_day():
    document = describe(
        Book(),
        SpentDocument(days={DATE: {"magika": 5}}),
        baseline_watts=None,
        reason="no model has run since edged started",
    )

    assert [model.model for model in document.days[0].models] == ["magika"]
