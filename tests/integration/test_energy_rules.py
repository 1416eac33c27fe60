"""A rule that limits the energy of a run, from what a battery says to the variant that answers; only workers and time are made up."""

import asyncio
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from edged.api.endpoints.budget import BudgetRoutes
from edged.bundle.manifest import Budget
from edged.cli import edgectl
from edged.config.schema import ServeConfig
from edged.daemon.budget import LOOK_EVERY_S, BudgetBook, work_of
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.senses.network import read_network
from edged.daemon.senses.own import Own
from edged.daemon.senses.senses import Senses
from edged.daemon.senses.sight import Sight
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.serving import Serving
from edged.daemon.variants.measures import Measures
from edged.daemon.variants.report import VariantReport
from edged.daemon.variants.variants import Variants
from edged.energy.days import FEWEST_RUNS
from edged.ids import Digest, ModelName, Version
from edged.pipeline.pipeline import Pipeline
from edged.runtime.tensors import InferResult
from edged.select.machine import Machine
from edged.select.warm import WarmRules
from edged.sense.sysfs import Sensors
from edged.store.slots import Content, SlotEvent
from edged.store.state import StateDb
from tests.fakes.policies import PolicyWorld, policy_routes
from tests.fakes.raw_http import running
from tests.fakes.requests import Asked, request_of
from tests.fakes.served_workers import HeldTime, Starter, settle
from tests.fakes.sysfs import Sysfs
from tests.fakes.variants import variant

GAUGE = ModelName("gauge")
FP32, INT8 = (
    replace(
        variant(f"gauge-1.0.0-{precision}-any", tier=tier, precision=precision),
        budget=Budget(latency_ms=500.0, memory_bytes=1 << 20, power_watts=stated_watts),
    )
    for precision, tier, stated_watts in (("fp32", "quality", 2.0), ("int8", "memory", 1.0))
)
"""By their manifest, runs take 1 J and 0.5 J."""
RUN_S = {FP32.id: 0.4, INT8.id: 0.2}
DRAWS_WATTS = {FP32.id: 8.0, INT8.id: 2.0}
"""What they really draw: runs take 3.2 J and 0.4 J."""
IDLE_WATTS = 3.0
MACHINE = Machine(arch="amd64", memory_bytes=1 << 30, runtimes={"onnxruntime": "1.21.0"})
POLICY = """
schema = 1
name = "site"
dwell_s = 0

[[rule]]
name = "frugal"
when = [{ power = "battery" }]
then = { max_joules = 2 }
"""


class Clock:
    """The loop's, which stands still until a test moves it."""

    def __init__(self, time: HeldTime) -> None:
        self._time = time

    def monotonic_s(self) -> float:
        return self._time.now_s

    def unix_s(self) -> float:
        return 1_800_000_000.0 + self._time.now_s


class Device:
    """On its battery, with a model in two variants of which the better one draws more than its manifest says."""

    def __init__(self, directory, time: HeldTime) -> None:
        self.time, self.starter = time, Starter()
        self.sysfs = Sysfs(directory / "sys")
        self.sysfs.supply("BAT0", type="Battery", status="Discharging", capacity="80", power_now="3000000")
        self._clock, self._busy_s = Clock(time), 0.0
        self.senses = Senses(
            sight=Sight(Sensors(self.sysfs.root, directory / "proc"), self._clock),
            own=Own(
                clock=self._clock,
                idle_s=lambda: 0.0,
                trusted_unix_s=self._clock.unix_s,
                network=lambda: read_network(directory / "no-report"),
                flags=dict,
                regulatory=lambda: "standard",
                labels={},
            ),
            clock=self._clock,
            poll_s=lambda: LOOK_EVERY_S,
        )
        self.serving = Serving(start_worker=self.starter, parallel=1, poison_rest_s=600.0, limits=ServeConfig)
        self.book = BudgetBook(
            directory / "budget.json",
            spent=directory / "spent.json",
            contexts=self.senses,
            work=partial(work_of, self.serving, lambda _pid: None),
            clock=self._clock,
            unix_s=self._clock.unix_s,
            read_busy=lambda: self._busy_s,
        )
        self.state = StateDb.open(directory / "state.db")
        self.table = SlotTable(self.state, self._clock, in_use=directory / "in-use.json")
        turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.variants = Variants(
            serving=self.serving,
            table=self.table,
            turn=lambda model: turns[model],
            machine=MACHINE,
            measures=Measures(self.state, energy=self.book.energy, proc=directory),
            check=_pass,
            available_bytes=lambda: 1 << 40,
            rules=WarmRules,
            clock=self._clock,
        )

    async def activate(self) -> None:
        """Have fp32 answer, which is what the device takes by itself."""
        manifest = SimpleNamespace(
            name="gauge",
            model=GAUGE,
            version="1.0.0",
            semver=Version.parse("1.0.0"),
            variants=(FP32, INT8),
            pipeline=Pipeline(inputs=FP32.inputs, outputs=FP32.outputs),
        )
        bundle = SimpleNamespace(manifest=manifest, digest=Digest("a" * 64), variants=manifest.variants)
        content = Content(version=manifest.semver, digest=bundle.digest, variant=FP32.id)
        for what in (SlotEvent.WRITE_BEGAN, SlotEvent.WRITE_VERIFIED, SlotEvent.VALIDATION_BEGAN, SlotEvent.ACTIVATED):
            given = content if what is SlotEvent.WRITE_BEGAN else None
            await self.table.move(GAUGE, Move(slot="a", what=what, cause="test", content=given))
        self.serving.put(await self.serving.load(Loadable(bundle=bundle, variant=FP32)))

    @property
    def answering(self) -> str:
        return self.serving.served[GAUGE].loadable.variant.id

    async def rest(self, looks: int) -> None:
        """Let time pass in which no model runs."""
        for _ in range(looks):
            self._busy_s += 0.01
            await self._pass(IDLE_WATTS)

    async def work(self) -> None:
        """Have what answers run all the time until the next look, and draw what it draws."""
        running = self.serving.served[GAUGE]
        id_ = running.loadable.variant.id
        for _ in range(round(LOOK_EVERY_S / RUN_S[id_])):
            asked = Asked(request_of(deadline_s=self.time.now_s + 30.0))
            self.serving.submit("gauge", None, asked.call)
            (run,) = running.worker.under_way
            run.end([InferResult(outputs=request.inputs, run_s=RUN_S[id_], batch=1) for request in run.requests])
        self._busy_s += LOOK_EVERY_S
        await self._pass(IDLE_WATTS + DRAWS_WATTS[id_])

    async def _pass(self, watts: float) -> None:
        self.sysfs.supply("BAT0", power_now=str(round(watts * 1e6)))
        await self.senses.refresh()
        self.time.now_s += LOOK_EVERY_S
        self.book.look()
        await self.settle()

    async def settle(self) -> None:
        """Let everything happen that can happen now, on the thread that writes, too."""
        for _ in range(3):
            await settle()
            await asyncio.to_thread(lambda: None)
        await settle()


async def _pass(_loadable, _model) -> None:
    """Find nothing wrong with a variant."""


@pytest.fixture
async def device(tmp_path, monkeypatch):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    device = Device(tmp_path, HeldTime(monkeypatch))
    async with device.serving:
        await device.senses.refresh()
        await device.activate()
        running = asyncio.create_task(device.variants.run())
        yield device
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    device.state.close()


@pytest.fixture
async def server(tmp_path, device):
    """A socket of the device, whose policy allows 2 J for a run while it is on its battery."""
    (tmp_path / "policy").mkdir()
    world = PolicyWorld(tmp_path / "policy")
    world.write(POLICY)
    world.contexts, world.variants = device.senses, device.variants
    with world.report() as report:
        routes = [*policy_routes(report), *BudgetRoutes(device.book).routes()]
        async with running(tmp_path / "app", routes=routes) as server:
            await device.settle()
            yield server


async def edge(server, *args):
    """Run edgectl beside the server's loop, and beside the thread that the server has for reading and writing."""
    command = partial(edgectl.main, ["--socket", str(server.path), *args])
    with ThreadPoolExecutor(1) as beside:
        assert await asyncio.get_running_loop().run_in_executor(beside, command) == 0


async def test_variant_gives_way_once_its_runs_are_measured_to_take_more_energy_than_the_rule_allows(
    device, server, capsys
):
    await device.rest(4)
    assert device.answering == FP32.id, "by its manifest, it keeps within the limit"
    await device.work()
    assert device.book.book.days[0].models["gauge"].variants[FP32.id].measured_runs >= FEWEST_RUNS
    await device.rest(1)
    assert device.answering == INT8.id

    await edge(server, "policy", "explain", "--model", "gauge")
    page = capsys.readouterr().out
    assert "gauge, interactive: run int8" in page
    assert f"{FP32.id}  takes 3.2 J here, the rule allows 2 J" in page
    await edge(server, "device", "budget")
    assert "400.00 ms  80.0 J  3.2 J  8.00 W" in capsys.readouterr().out


@pytest.mark.usefixtures("server")
async def test_what_was_measured_goes_on_to_count_while_the_other_runs_and_not_where_no_rule_asks(device):
    await device.rest(4)
    await device.work()
    await device.rest(1)
    answered = set()
    for _ in range(5):
        await device.work()
        answered.add(device.answering)
    fp32, int8 = VariantReport(device.variants, device.serving).of(GAUGE)
    device.sysfs.supply("BAT0", status="Charging")
    await device.rest(1)

    assert answered == {INT8.id}, "it does not flap"
    assert (fp32.joules, fp32.watts, fp32.stated_watts) == pytest.approx((3.2, 8.0, 2.0))
    assert (int8.joules, int8.watts, int8.stated_watts) == pytest.approx((0.4, 2.0, 1.0))
    assert device.answering == FP32.id
