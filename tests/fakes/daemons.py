"""The daemon's inside without its sockets: real files, real workers, a real slot table, and a clock that a test moves."""

import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

from edged.config.schema import ServeConfig, WorkerConfig
from edged.daemon.lifecycle import Lifecycle
from edged.daemon.report import Report
from edged.daemon.served import Loadable, Worker
from edged.daemon.serving import Serving
from edged.daemon.slot_table import SlotTable
from edged.daemon.workers import Workers
from edged.ids import ModelName
from edged.runtime.host import Template
from edged.runtime.tensors import Tensor
from edged.select.machine import read_machine
from edged.store.layout import StoreLayout
from edged.store.state import StateDb
from tests.fakes.clocks import ManualClock

ADDER = ModelName("adder")
HELLO = b"Hello, edge"


class Daemon:
    """One start of it; asks and answers are those of the adder (``tests.fakes.bundles``)."""

    def __init__(
        self,
        layout: StoreLayout,
        state: StateDb,
        template: Template,
        serving: Serving,
        troubles: Sequence[Exception],
    ) -> None:
        self.clock = ManualClock()
        self.table = SlotTable(state, self.clock)
        self.serving = serving
        self.beats = 0
        self.troubles: list[Exception] = list(troubles)
        """Raised by the next starts of workers, one each."""
        self._workers = Workers(template, WorkerConfig())
        limits = ServeConfig()
        self.lifecycle = Lifecycle(
            layout=layout,
            table=self.table,
            serving=serving,
            machine=read_machine(),
            start_worker=self._start_worker,
            clock=self.clock,
            limits=lambda: limits,
            beat=self._beat,
        )
        self.report = Report(
            table=self.table, serving=serving, update_status=layout.root / "no-such-file", started_at=0.0
        )

    def _beat(self) -> None:
        self.beats += 1

    async def _start_worker(self, loadable: Loadable) -> Worker:
        if self.troubles:
            raise self.troubles.pop(0)
        return await self._workers.start(loadable)

    @property
    def slots(self):
        return self.table[ADDER]

    async def answer(self, data: bytes = HELLO) -> tuple[str, float]:
        """Ask the adder; returns the version that answered and its answer."""
        tensor = Tensor(name="file", dtype="BYTES", shape=(1,), data=struct.pack("<I", len(data)) + data)
        answer = await self.serving.infer("adder", None, [tensor], (), timeout_s=20.0)
        return str(answer.model.version), struct.unpack("<f", bytes(answer.result.outputs[0].data))[0]


@asynccontextmanager
async def started_daemon(
    layout: StoreLayout, state: Path, *, troubles: Sequence[Exception] = ()
) -> AsyncIterator[Daemon]:
    """Start it over a store and a state database that outlive it; ``troubles`` are met by the first starts of workers."""
    with closing(StateDb.open(state)) as db:
        async with Template() as template, Serving() as serving:
            daemon = Daemon(layout, db, template, serving, troubles)
            await daemon.lifecycle.boot()
            yield daemon
