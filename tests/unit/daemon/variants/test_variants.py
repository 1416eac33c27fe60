"""What becomes of wishes for variants while other things happen, with fake workers and a time that a test moves."""

import asyncio
import logging
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace

import pytest

from edged.config.schema import ServeConfig
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.serving import Serving
from edged.daemon.variants.measures import Measures
from edged.daemon.variants.variants import LOOK_EVERY_S, NOTED_AFTER_S, Variants
from edged.errors import ModelStoppedError, UnavailableError, ValidationFailedError
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


class Device:
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
        self.told: list[str] = []
        turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.variants = Variants(
            serving=self.serving,
            table=self.table,
            turn=lambda model: turns[model],
            machine=MACHINE,
            measures=Measures(self.state, energy=dict, proc=directory),
            check=self._check,
            available_bytes=lambda: 1 << 40,
            rules=WarmRules,
            clock=Clock(time),
        )
        self.variants.on_change(self.told.append)

    async def _check(self, loadable, _model) -> None:
        self.checked.append(loadable.variant.id)
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

    async def want(self, *ids: str, name: str = "echo") -> None:
        self.variants.want(name, ids, rule="hot")
        await settle()

    def ask(self, data: bytes) -> Asked:
        asked = Asked(request_of(data, deadline_s=self.time.now_s + 30.0))
        self.serving.submit("echo", None, asked.call)
        return asked


@pytest.fixture
async def device(tmp_path, monkeypatch):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    device = Device(tmp_path, HeldTime(monkeypatch))
    async with device.serving:
        running = asyncio.create_task(device.variants.run())
        await device.pass_s(0.0)
        yield device
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    device.state.close()


async def test_what_cannot_run_here_says_why(device):
    await device.activate()

    assert [item.id for item in device.variants.known("echo")] == ["fp32", "absent", "int8", "npu"]
    assert device.variants.unusable("echo") == {
        "npu": ("needs npu, this machine has cpu",),
        "absent": ("its files are not on this device",),
    }


async def test_what_answers_is_usable_although_it_would_not_be_chosen_here_any_more(device):
    """A machine has a little less memory after an upgrade, say: what ran before runs on."""
    served = await device.serving.load(Loadable(bundle=bundle_of("1.0.0"), variant=VARIANTS[2]))
    device.serving.put(served)

    assert device.variants.loaded("echo") == ["npu"]
    assert device.variants.unusable("echo").keys() == {"absent"}


async def test_nothing_is_known_of_a_model_that_does_not_answer(device):
    assert (device.variants.known("echo"), device.variants.unusable("echo"), device.variants.loaded("echo")) == (
        (),
        {},
        [],
    )
    await device.activate()
    assert device.variants.models() == ["echo"]
    device.serving.remove(ECHO)

    assert (device.variants.known("echo"), device.variants.models(), device.told[-1]) == ((), [], "echo")


async def test_wish_that_is_said_before_the_model_answers_is_not_forgotten(device):
    await device.want("int8")
    await device.activate()

    assert device.variants.loaded("echo") == ["int8", "fp32"]


async def test_wish_that_has_changed_while_a_variant_is_loaded_counts(device):
    await device.activate()
    device.gate.close()
    await device.want("int8")
    assert device.gate.waiting == ["int8"]
    await device.want("fp32")
    device.gate.open()
    await settle()

    assert device.variants.loaded("echo") == ["fp32", "int8"]
    assert device.variants.switches(ECHO) == {}


async def test_variant_of_a_version_that_was_replaced_meanwhile_is_not_used(device):
    await device.activate()
    device.gate.close()
    await device.want("int8")
    device.gate.open()
    served = await device.serving.load(Loadable(bundle=bundle_of("2.0.0"), variant=VARIANTS[0]))
    device.serving.put(served)
    await settle()

    assert device.variants.loaded("echo")[0] == "int8", "of the new version, of which it is wanted as well"
    assert {item.loadable.bundle.manifest.version for item in device.serving.variants(ECHO)} == {"2.0.0"}
    assert {item.loadable.bundle.manifest.version for item in device.serving.loaded(ECHO)} == {"2.0.0"}


async def test_of_all_models_one_at_a_time_is_loaded(device):
    await device.activate()
    await device.activate(name="other")
    device.gate.close()
    await device.want("int8")
    await device.want("int8", name="other")
    assert len(device.gate.waiting) == 1
    device.gate.open()
    await settle()

    assert (device.variants.loaded("echo"), device.variants.loaded("other")) == (["int8", "fp32"], ["int8", "fp32"])


async def test_variant_passes_its_kit_once_and_the_one_that_was_activated_has(device):
    await device.activate()
    for wanted in ("int8", "fp32"):
        await device.want(wanted)
        await device.pass_s(WarmRules().unload_after_s + LOOK_EVERY_S)
        await device.pass_s(LOOK_EVERY_S)
    await device.want("int8")

    assert device.checked == ["int8"]


async def test_worker_of_a_variant_that_fails_its_kit_is_ended(device):
    await device.activate()
    device.verdicts.append(ValidationFailedError("wrong by 5"))
    await device.want("int8")

    assert [worker.is_closed for worker in device.starter.workers] == [False, True]
    assert device.variants.unusable("echo")["int8"] == ("wrong by 5",)
    assert device.variants.loaded("echo") == ["fp32"]


async def test_rests_of_what_fails_again_and_again_become_longer(device):
    await device.activate()
    device.verdicts += [ValidationFailedError("wrong")] * 3
    await device.want("int8")
    tries = []
    for _ in range(43):
        await device.pass_s(LOOK_EVERY_S)
        tries.append(len(device.checked))

    assert [tries.index(count) for count in (2, 3, 4)] == [5, 17, 41], "after one, two and four minutes"
    assert device.variants.loaded("echo") == ["int8", "fp32"]


async def test_loaded_variant_takes_what_waits_for_one_whose_worker_cannot_be_started_again(device):
    worker = await device.activate()
    await device.want("fp32", "int8")
    device.ask(b"a")
    waiting = device.ask(b"b")
    device.starter.troubles.append(UnavailableError("no process"))
    worker.die()
    await settle()
    device.starter.last.answer_all()

    assert waiting.answer == b"b"
    assert waiting.call.instead == "int8"
    assert device.variants.unusable("echo")["fp32"] == ("its worker cannot be started: no process",)


async def test_while_another_variant_is_loaded_in_its_place_nothing_else_has_to_answer(device):
    worker = await device.activate()
    device.starter.troubles.append(UnavailableError("no process"))
    device.gate.close()
    worker.die()
    await settle()
    device.gate.open()
    await settle()
    assert device.variants.loaded("echo") == ["int8"]
    assert not device.serving.is_mending(ECHO)
    device.starter.troubles += [UnavailableError("no process")] * 2
    device.starter.last.die()
    await settle()

    assert device.variants.loaded("echo") == []
    assert not device.serving.is_mending(ECHO), "there is nothing left to try"


async def test_nothing_is_loaded_for_a_model_that_may_not_answer(device):
    await device.activate()
    device.serving.hold(ECHO, lambda: ModelStoppedError("stopped", since="now"))
    await device.want("int8")
    assert device.variants.loaded("echo") == ["fp32"]
    device.serving.release(ECHO)
    await device.pass_s(LOOK_EVERY_S)

    assert device.variants.loaded("echo") == ["int8", "fp32"]


async def test_restart_begins_with_what_has_answered_for_a_while(device):
    """A switch writes nothing; flash memory is spared."""
    worker = await device.activate()
    await device.want("int8")
    await device.pass_s(LOOK_EVERY_S)
    assert device.table[ECHO].a.content.variant == "fp32"
    for _ in range(int(NOTED_AFTER_S / LOOK_EVERY_S)):
        await device.pass_s(LOOK_EVERY_S)

    assert not worker.is_closed
    assert device.table[ECHO].a.content.variant == "int8"
    assert device.state.read_slots()[ECHO].a.content.variant == "int8"


async def test_journal_tells_from_what_to_what_by_which_rule_and_how(device, caplog):
    caplog.set_level(logging.INFO)
    await device.activate()
    device.gate.close()
    await device.want("int8")
    device.time.now_s += 1.5
    device.gate.open()
    await settle()

    (fields,) = [record.edged_fields for record in caplog.records if "Another variant" in record.message]
    assert fields == {
        "model": "echo", "version": "1.0.0", "before": "fp32", "variant": "int8", "rule": "hot", "how": "warm", "took_ms": 1500.0,
    }  # fmt: skip
