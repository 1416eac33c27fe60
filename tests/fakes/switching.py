"""The adder in several variants whose answers tell which of them gave it, on a device with real workers, and what switches them."""

import asyncio
import shutil
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from edged.daemon.lifecycle.check import check_model
from edged.daemon.serving.asking import ask
from edged.daemon.variants.variants import Variants
from edged.ids import ModelName, Version
from edged.publish.building.build import build_bundle
from edged.runtime.calls import Request
from edged.select.machine import read_machine
from edged.select.warm import WarmRules
from tests.fakes.bundles import adder_answer, adder_model, make_recipe
from tests.fakes.daemons import ADDER, HELLO, Daemon, Disk, file_of, until

MORE: Mapping[str, float] = {"fp32": 0.0, "fp16": 0.125, "int8": 0.25}
"""What each variant adds to the sum; the kit lets it."""
OUT_OF_TOLERANCE = 5.0
"""What a variant adds that fails its kit."""
TIERS: Mapping[str, str] = {"fp32": "quality", "fp16": "speed", "int8": "memory"}


def id_of(precision: str, version: str = "1.0.0") -> str:
    """The id of a variant of the adder."""
    return f"adder-{version}-{precision}-any"


def build_variants(directory: Path, version: str = "1.0.0", more: Mapping[str, float] = MORE) -> Path:
    """Build the adder in several variants, of which fp32 is what a device takes by itself; returns the bundle's directory."""
    sources = directory / f"adder-{version}.sources"
    others = [precision for precision in more if precision != "fp32"]
    extra = "".join(_VARIANT.format(precision=precision, tier=TIERS[precision]) for precision in others)
    recipe = make_recipe(sources, version=version, extra=extra, more=more["fp32"])
    for precision in others:
        (sources / f"{precision}.onnx").write_bytes(adder_model(more=more[precision]))
    return build_bundle(recipe, directory / "built", report=lambda _line: None)


def stage_variants(disk: Disk, version: str = "1.0.0", more: Mapping[str, float] = MORE) -> Path:
    """Put the adder into the store in several variants, and have the rollout name it."""
    bundle = build_variants(disk.directory, version, more)
    target = disk.layout.bundle(ModelName("adder"), Version.parse(version))
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(bundle, target)
    disk.roll_out(version)
    return target


class Switching:
    """A daemon's inside with what switches variants; memory is as much as a test says."""

    def __init__(self, daemon: Daemon, *, look_every_s: float) -> None:
        self.daemon = daemon
        self.serving = daemon.serving
        self.available_bytes = 1 << 50
        self.rules = WarmRules()
        self.told: list[str] = []

        async def check(loadable, model) -> None:
            await check_model(loadable, model, timeout_s=20.0, beat=lambda: None)

        self.variants = Variants(
            serving=daemon.serving,
            table=daemon.table,
            turn=daemon.lifecycle.answering.turn,
            machine=read_machine(),
            measures=daemon.measures,
            check=check,
            available_bytes=lambda: self.available_bytes,
            rules=lambda: self.rules,
            clock=daemon.clock,
            look_every_s=look_every_s,
        )
        self.variants.on_change(self.told.append)

    def want(self, *precisions: str, rule: str = "hot") -> None:
        """Say what is wanted, best first."""
        self.variants.want("adder", [id_of(precision) for precision in precisions], rule=rule)

    @property
    def loaded(self) -> list[str]:
        """The precisions of what is loaded, what answers first."""
        return [served.loadable.variant.precision for served in self.serving.variants(ADDER)]

    @property
    def answering(self) -> str:
        """The precision of what answers requests that name no variant, and has a worker."""
        served = self.serving.served.get(ADDER)
        return served.loadable.variant.precision if served is not None and served.worker is not None else ""

    async def until_answering(self, precision: str) -> None:
        await until(lambda: self.answering == precision)

    async def until_loaded(self, *precisions: str) -> None:
        await until(lambda: set(self.variants.loaded("adder")) == {id_of(precision) for precision in precisions})

    async def ask(self, variant: str = "") -> tuple[str, float]:
        """Ask the adder; returns the precision that is said to have answered, and what it added."""
        taken = []
        deadline_s = asyncio.get_running_loop().time() + 20.0
        result = await ask(
            lambda call: taken.append((call, self.serving.submit("adder", None, call, variant))),
            Request(inputs=[file_of(HELLO)], deadline_s=deadline_s, uid=1000),
        )
        ((call, view),) = taken
        total = struct.unpack("<f", bytes(result.outputs[0].data))[0]
        return (call.instead or view.variant).split("-")[-2], total - adder_answer(HELLO)


@asynccontextmanager
async def switching(daemon: Daemon, *, look_every_s: float = 0.01) -> AsyncIterator[Switching]:
    """Switch the variants of a daemon until this is left."""
    device = Switching(daemon, look_every_s=look_every_s)
    running = asyncio.create_task(device.variants.run())
    try:
        yield device
    finally:
        running.cancel()
        await asyncio.wait([running])
        await device.variants.write_down()


@asynccontextmanager
async def switching_device(disk: Disk, **options: float) -> AsyncIterator[Switching]:
    """Start a daemon over a disk, take what is staged to activation, and switch variants from then on."""
    async with disk.start() as daemon:
        await daemon.lifecycle.look()
        async with switching(daemon, **options) as device:
            yield device


@asynccontextmanager
async def asked_all_the_time(
    device: Switching, askers: int, variants: Sequence[str] = ("",)
) -> AsyncIterator[list[tuple[str, float]]]:
    """Ask as fast as it goes while this is entered; whatever goes wrong with any request is raised when it is left."""
    answers: list[tuple[str, float]] = []
    is_over = asyncio.Event()

    async def keep_asking(variant: str) -> None:
        while not is_over.is_set():
            answers.append(await device.ask(variant))

    async with asyncio.TaskGroup() as group:
        for number in range(askers):
            group.create_task(keep_asking(variants[number % len(variants)]))
        yield answers
        is_over.set()


_VARIANT = """
[[variants]]
model = "{precision}.onnx"
tier = "{tier}"
precision = "{precision}"
targets = {{ arch = ["amd64", "arm64"] }}
budget = {{ latency_ms = 1000.0, memory_bytes = 67108864 }}
tolerance = [{{ output = "sum", absolute = 0.5 }}]
"""
