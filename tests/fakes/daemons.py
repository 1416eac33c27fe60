"""The daemon's inside without its sockets: real files, real workers, a real slot table, and a clock that a test moves."""

import asyncio
import json
import shutil
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

from edged.activation.shadow import ShadowRules
from edged.activation.trial import TrialRules
from edged.config.schema import ServeConfig, WorkerConfig
from edged.daemon.lifecycle.lifecycle import Lifecycle
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.lifecycle.steering import Steering
from edged.daemon.report import Report
from edged.daemon.serving.asking import ask
from edged.daemon.serving.keeper import Loadable, Worker
from edged.daemon.serving.serving import Serving
from edged.daemon.serving.workers import Workers, parallel_of
from edged.daemon.variants.measures import Measures
from edged.host.template import Template
from edged.ids import ModelName, Version
from edged.runtime.calls import Request
from edged.runtime.memory import SharedMemory
from edged.runtime.tensors import Tensor
from edged.select.machine import read_machine
from edged.store.layout import StoreLayout
from edged.store.state import StateDb
from tests.fakes.bundles import make_bundle
from tests.fakes.clocks import ManualClock
from tests.fakes.orders import DEVICE, FakeOrders, FakeWindow

ADDER = ModelName("adder")
HELLO = b"Hello, edge"


class Starter:
    """Starts real workers; ``troubles`` are raised by the next starts instead, one each."""

    def __init__(self, workers: Workers, troubles: Sequence[Exception]) -> None:
        self.troubles: list[Exception] = list(troubles)
        self._workers = workers

    async def start(self, loadable: Loadable, memory: SharedMemory | None) -> Worker:
        if self.troubles:
            raise self.troubles.pop(0)
        return await self._workers.start(loadable, memory)

    async def start_in_background(self, loadable: Loadable, memory: SharedMemory | None) -> Worker:
        if self.troubles:
            raise self.troubles.pop(0)
        return await self._workers.start_in_background(loadable, memory)


class Daemon:
    """One start of it; asks and answers are those of the adder (``tests.fakes.bundles``)."""

    def __init__(self, layout: StoreLayout, state: StateDb, starter: Starter, serving: Serving) -> None:
        self.clock = ManualClock()
        self.measures = Measures(state, energy=dict)
        self.table = SlotTable(state, self.clock, in_use=layout.root.parent / "in-use.json")
        self.serving = serving
        self.orders = FakeOrders(layout)
        self.window = FakeWindow()
        self.trial = TrialRules(min_s=0)
        """The device's rules."""
        self.shadow = ShadowRules()
        """And those for shadow runs."""
        self.available_bytes = 1 << 50
        self.beats = 0
        self.starter = starter
        self.troubles = starter.troubles
        self.lifecycle = Lifecycle(
            layout=layout,
            table=self.table,
            serving=serving,
            orders=self.orders,
            window=self.window,
            machine=read_machine(),
            available_bytes=lambda: self.available_bytes,
            start_worker=starter.start,
            start_in_background=starter.start_in_background,
            clock=self.clock,
            limits=ServeConfig,
            shadow=lambda: self.shadow,
            trial=lambda: self.trial,
            has_passed=self.measures.has_passed,
            beat=self._beat,
        )
        self.steering = Steering(lifecycle=self.lifecycle, table=self.table, window=self.window, clock=self.clock)
        self.report = Report(
            table=self.table,
            serving=serving,
            lifecycle=self.lifecycle,
            orders=self.orders,
            device=DEVICE,
            variants=lambda _model: (),
            decision=lambda _model: None,
            background=lambda _model: None,
            refused_policies=tuple,
            refused_reload=lambda: None,
            update_status=layout.root / "no-such-file",
            started_at=0.0,
        )

    def _beat(self) -> None:
        self.beats += 1

    @property
    def slots(self):
        return self.table[ADDER]

    async def answer(self, data: bytes = HELLO) -> tuple[str, float]:
        """Ask the adder; returns the version that answered and its answer."""
        views = []
        deadline_s = asyncio.get_running_loop().time() + 20.0
        result = await ask(
            lambda call: views.append(self.serving.submit("adder", None, call)),
            Request(inputs=[file_of(data)], deadline_s=deadline_s),
        )
        return str(views[0].version), struct.unpack("<f", bytes(result.outputs[0].data))[0]


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop go on until something is so, which a process outside it decides; gives up after a long time."""
    async with asyncio.timeout(60.0):
        while not is_so():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.001)


def file_of(data: bytes) -> Tensor:
    """The adder's input."""
    return Tensor(name="file", dtype="BYTES", shape=(1,), data=struct.pack("<I", len(data)) + data)


@asynccontextmanager
async def started_daemon(
    layout: StoreLayout, state: Path, *, troubles: Sequence[Exception] = (), config: WorkerConfig | None = None
) -> AsyncIterator[Daemon]:
    """Start it over a store and a state database that outlive it; ``troubles`` are met by the first starts of workers."""
    config = config or WorkerConfig()
    with closing(StateDb.open(state)) as db:
        async with AsyncExitStack() as stack:
            template = await stack.enter_async_context(Template())
            starter = Starter(Workers(template, config, ServeConfig), troubles)
            serving = Serving(
                start_worker=starter.start,
                parallel=parallel_of(config),
                poison_rest_s=config.poison_rest_s,
                limits=ServeConfig,
            )
            daemon = Daemon(layout, db, starter, await stack.enter_async_context(serving))
            await daemon.lifecycle.boot()
            yield daemon


class Disk:
    """A store and a state directory that outlive any number of starts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.layout = StoreLayout(directory / "store")
        self.layout.ops.mkdir(parents=True)
        self.state = directory / "state.db"

    def stage(self, version: str, *, name: str = "adder", **options) -> Path:
        """Put a bundle into the store as the updater would, and have the rollout name it."""
        bundle = make_bundle(self.directory / "built", name=name, version=version, **options)
        return self.stage_built(bundle)

    def stage_built(self, bundle: Path) -> Path:
        """Do the same with a bundle that is there, ``NAME-VERSION``."""
        name, _, version = bundle.name.rpartition("-")
        target = self.layout.bundle(ModelName(name), Version.parse(version))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(bundle, target)
        self.roll_out(version, name=name)
        return target

    def roll_out(self, version: str, *, name: str = "adder", soak_s: float = 0.0, shadow: float = 0.0) -> None:
        """Have the rollout name a version; with a time to soak or a share for the shadow, as one that is on its way to all."""
        document = self._rollout()
        entry: dict[str, object] = {"version": version}
        if soak_s or shadow:
            new = {"id": "r1", "version": version, "percent": 100, "since": "2026-11-22T10:00:00Z"}
            entry = {"next": {**new, "soak_s": soak_s, "shadow": shadow}}
        document["models"][name] = entry
        self.layout.rollout.write_text(json.dumps(document))

    def start(self, *troubles: Exception, config: WorkerConfig | None = None):
        return started_daemon(self.layout, self.state, troubles=troubles, config=config)

    def _rollout(self):
        try:
            return json.loads(self.layout.rollout.read_text())
        except FileNotFoundError:
            return {"schema": 1, "issued": "2026-11-22T10:00:00Z", "models": {}}
