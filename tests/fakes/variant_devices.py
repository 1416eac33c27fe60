"""Devices that load and switch variants, with fake workers and a time that a test moves."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from types import SimpleNamespace

from edged.config.schema import ServeConfig
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.serving import Serving
from edged.daemon.variants.measures import Measures
from edged.daemon.variants.variants import Variants
from edged.ids import Digest, ModelName, Version
from edged.pipeline.pipeline import Pipeline
from edged.select.machine import Machine
from edged.select.warm import WarmRules
from edged.store.slots import Content, SlotEvent
from edged.store.state import StateDb
from tests.fakes.requests import Asked, request_of
from tests.fakes.served_workers import HeldTime, Starter, settle
from tests.fakes.variants import variant

ECHO = ModelName("echo")
MACHINE = Machine(arch="amd64", memory_bytes=1 << 30, runtimes={"onnxruntime": "1.21.0"})
VARIANTS = (
    variant("fp32"),
    variant("int8", tier="memory", precision="int8"),
    variant("npu", accelerators=("npu",)),
    variant("absent", tier="speed"),
)


def bundle_of(version: str, name: str = "echo"):
    """A version whose last variant was not fetched; nothing of it is on a disk."""
    manifest = SimpleNamespace(
        name=name,
        model=ModelName(name),
        version=version,
        semver=Version.parse(version),
        variants=VARIANTS,
        pipeline=Pipeline(inputs=VARIANTS[0].inputs, outputs=VARIANTS[0].outputs),
    )
    return SimpleNamespace(
        manifest=manifest, digest=Digest((name + version).encode().hex().ljust(64, "0")), variants=VARIANTS[:3]
    )


class Gate:
    """Starts fake workers, one whenever a test lets it."""

    def __init__(self, starter: Starter) -> None:
        self.waiting: list[str] = []
        self.is_open = True
        self._starter = starter
        self._opened = asyncio.Event()

    async def __call__(self, loadable, _memory):
        if not self.is_open:
            self.waiting.append(loadable.variant.id)
            await self._opened.wait()
            self.waiting.remove(loadable.variant.id)
        return await self._starter()

    def open(self) -> None:
        self.is_open = True
        self._opened.set()

    def close(self) -> None:
        self.is_open = False
        self._opened.clear()


class Clock:
    """The loop's."""

    def __init__(self, time: HeldTime) -> None:
        self._time = time

    def monotonic_s(self) -> float:
        return self._time.now_s

    unix_s = monotonic_s


class VariantDevice:
    """Models with fake workers, and what loads and switches their variants."""

    def __init__(self, directory, time: HeldTime) -> None:
        self.time = time
        self.starter = Starter()
        self.gate = Gate(self.starter)
        self.serving = Serving(start_worker=self.gate, parallel=1, poison_rest_s=600.0, limits=ServeConfig)
        self.state = StateDb.open(directory / "state.db")
        self.table = SlotTable(self.state, Clock(time), in_use=directory / "in-use.json")
        self.checked: list[str] = []
        self.verdicts: list[Exception] = []
        self.may_judge = asyncio.Event()
        self.may_judge.set()
        self.running: asyncio.Task | None = None
        self.told: list[str] = []
        self.available_bytes = 1 << 40
        self.turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.measures = Measures(self.state, energy=dict, proc=directory)
        self.variants = self.make_variants()
        self.variants.on_change(self.told.append)

    def make_variants(self) -> Variants:
        return Variants(
            serving=self.serving,
            table=self.table,
            turn=lambda model: self.turns[model],
            machine=MACHINE,
            measures=self.measures,
            check=self._check,
            available_bytes=lambda: self.available_bytes,
            rules=WarmRules,
            clock=Clock(self.time),
        )

    async def _check(self, loadable, _model) -> None:
        self.checked.append(loadable.variant.id)
        await self.may_judge.wait()
        if self.verdicts:
            raise self.verdicts.pop(0)

    async def activate(self, version: str = "1.0.0", name: str = "echo"):
        """Have a version answer, as the lifecycle does; returns its worker."""
        bundle = bundle_of(version, name)
        content = Content(version=bundle.manifest.semver, digest=bundle.digest, variant="fp32")
        for what in (SlotEvent.WRITE_BEGAN, SlotEvent.WRITE_VERIFIED, SlotEvent.VALIDATION_BEGAN, SlotEvent.ACTIVATED):
            given = content if what is SlotEvent.WRITE_BEGAN else None
            await self.table.move(bundle.manifest.model, Move(slot="a", what=what, cause="test", content=given))
        served = await self.serving.load(Loadable(bundle=bundle, variant=VARIANTS[0]))
        worker = self.starter.last
        self.serving.put(served)
        await settle()
        return worker

    async def pass_s(self, seconds: float) -> None:
        """Let time pass, and what is written be written: there is one thread for that, so it has done before it does this."""
        await self.time.pass_s(seconds)
        for _ in range(3):
            await asyncio.to_thread(lambda: None)
            await settle()

    async def end(self) -> None:
        self.running.cancel()
        with suppress(asyncio.CancelledError):
            await self.running

    async def want(self, *ids: str, name: str = "echo") -> None:
        self.variants.want(name, ids, rule="hot")
        await settle()

    def ask(self, data: bytes) -> Asked:
        asked = Asked(request_of(data, deadline_s=self.time.now_s + 30.0))
        self.serving.submit("echo", None, asked.call)
        return asked
