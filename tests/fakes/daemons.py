"""The daemon's inside without its sockets: real files, real workers, a real slot table, and a clock that a test moves."""

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

from edged.config.schema import ServeConfig, WorkerConfig
from edged.daemon.asking import ask
from edged.daemon.keeper import Loadable, Worker
from edged.daemon.lifecycle import Lifecycle
from edged.daemon.report import Report
from edged.daemon.serving import Serving
from edged.daemon.slot_table import SlotTable
from edged.daemon.workers import Workers, parallel_of
from edged.host.template import Template
from edged.ids import ModelName
from edged.runtime.calls import Request
from edged.runtime.memory import SharedMemory
from edged.runtime.tensors import Tensor
from edged.select.machine import read_machine
from edged.store.layout import StoreLayout
from edged.store.state import StateDb
from tests.fakes.clocks import ManualClock

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


class Daemon:
    """One start of it; asks and answers are those of the adder (``tests.fakes.bundles``)."""

    def __init__(self, layout: StoreLayout, state: StateDb, starter: Starter, serving: Serving) -> None:
        self.clock = ManualClock()
        self.table = SlotTable(state, self.clock)
        self.serving = serving
        self.beats = 0
        self.troubles = starter.troubles
        self.lifecycle = Lifecycle(
            layout=layout,
            table=self.table,
            serving=serving,
            machine=read_machine(),
            start_worker=starter.start,
            clock=self.clock,
            limits=ServeConfig,
            beat=self._beat,
        )
        self.report = Report(
            table=self.table, serving=serving, update_status=layout.root / "no-such-file", started_at=0.0
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
