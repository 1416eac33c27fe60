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
from edged.errors import ModelStoppedError, ModelUnknownError, StoreError, UnavailableError, ValidationFailedError
from edged.ids import Digest, ModelName, Version
from edged.pipeline.pipeline import Pipeline
from edged.select.machine import Machine
from edged.select.observed import FEWEST_RUNS
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


@pytest.fixture
async def device(tmp_path, monkeypatch):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    device = Device(tmp_path, HeldTime(monkeypatch))
    async with device.serving:
        device.running = asyncio.create_task(device.variants.run())
        await device.pass_s(0.0)
        yield device
        await device.end()
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
    assert [worker.is_closed for worker in device.starter.workers] == [True, False, True, False]
    assert {item.loadable.bundle.manifest.version for item in device.serving.variants(ECHO)} == {"2.0.0"}
    assert {item.loadable.bundle.manifest.version for item in device.serving.loaded(ECHO)} == {"2.0.0"}


async def test_variant_of_a_model_that_is_gone_meanwhile_is_not_used(device):
    await device.activate()
    device.gate.close()
    await device.want("int8")
    device.serving.remove(ECHO)
    device.gate.open()
    await settle()

    assert [worker.is_closed for worker in device.starter.workers] == [True, True]
    device.serving.put(await device.serving.load(Loadable(bundle=bundle_of("1.0.0"), variant=VARIANTS[0])))
    assert device.variants.unusable("echo").keys() == {"npu", "absent"}, "nothing was wrong with it"


async def test_variant_that_was_activated_while_it_was_loaded_is_not_there_twice(device):
    """An older version comes back with the variant that answered last, say."""
    await device.activate()
    device.gate.close()
    await device.want("int8")
    bundle = device.serving.served[ECHO].loadable.bundle
    served = device.serving.employ(Loadable(bundle=bundle, variant=VARIANTS[1]), await device.starter())
    device.serving.put(served)
    device.gate.open()
    await settle()

    assert device.variants.loaded("echo") == ["int8"]
    assert [worker.is_closed for worker in device.starter.workers] == [True, False, True]


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
    device.gate.close()
    await device.want("int8")
    device.told.clear()
    device.gate.open()
    await settle()

    assert [worker.is_closed for worker in device.starter.workers] == [False, True]
    assert device.variants.unusable("echo")["int8"] == ("wrong by 5",)
    assert device.variants.loaded("echo") == ["fp32"]
    assert device.told == ["echo"]


async def test_what_fails_without_a_word_is_said_to_have_failed_all_the_same(device):
    await device.activate()
    device.verdicts.append(TimeoutError())
    await device.want("int8")

    assert device.variants.unusable("echo")["int8"] == ("TimeoutError",)


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


async def test_rests_are_short_again_after_one_that_could_be_loaded(device):
    await device.activate()
    device.verdicts.append(ValidationFailedError("wrong"))
    await device.want("int8")
    await device.pass_s(60.0)
    assert device.variants.loaded("echo") == ["int8", "fp32"]
    await device.want("fp32")
    await device.pass_s(WarmRules().unload_after_s)
    assert device.variants.loaded("echo") == ["fp32"]

    device.starter.troubles.append(UnavailableError("no process"))
    await device.want("int8")
    assert device.variants.unusable("echo")["int8"] == ("no process",)
    await device.pass_s(60.0)
    assert device.variants.loaded("echo") == ["int8", "fp32"]


async def test_whoever_wants_to_know_is_told_when_something_is_usable_again_measured_or_unloaded_and_else_not(
    device, caplog
):
    await device.activate()
    await device.pass_s(LOOK_EVERY_S)
    device.verdicts.append(ValidationFailedError("wrong"))
    await device.want("int8")
    await device.want("fp32")

    async def told(after_s: float) -> list[str]:
        device.told.clear()
        await device.pass_s(after_s)
        return device.told[:]

    assert await told(LOOK_EVERY_S) == []
    for _ in range(FEWEST_RUNS):
        device.serving.served[ECHO].run_times.observe(0.01)
    assert await told(LOOK_EVERY_S) == ["echo"]
    assert await told(LOOK_EVERY_S) == []
    assert await told(60.0) == ["echo"]
    await device.want("int8")
    await device.want("fp32")
    await device.pass_s(LOOK_EVERY_S)
    assert await told(WarmRules().unload_after_s) == ["echo"]
    assert device.variants.loaded("echo") == ["fp32"]
    assert "ERROR" not in {record.levelname for record in caplog.records}


@pytest.mark.parametrize(("missing_bytes", "how"), [(0, "warm"), (1, "cold")])
async def test_a_variant_is_loaded_beside_the_other_where_its_memory_and_the_reserve_are_there(
    device, missing_bytes, how
):
    await device.activate()
    reserve_bytes = int(MACHINE.memory_bytes * WarmRules().reserve_percent / 100)
    device.available_bytes = reserve_bytes + VARIANTS[1].budget.memory_bytes - missing_bytes
    await device.want("int8")

    assert device.variants.switches(ECHO) == {how: 1}


async def test_what_was_taken_before_a_switch_is_answered_where_it_is(device):
    worker = await device.activate()
    await device.want("fp32", "int8")
    asked = [device.ask(data) for data in (b"a", b"b")]
    await device.want("int8")
    worker.answer_all()

    assert [one.answer for one in asked] == [b"a", b"b"]
    assert [one.call.instead for one in asked] == ["", ""]


async def test_a_model_that_is_gone_is_no_trouble_to_the_others(device):
    await device.activate(name="other")
    await device.activate()
    device.serving.remove(ModelName("other"))
    await device.pass_s(NOTED_AFTER_S)
    await device.want("int8")

    assert device.variants.loaded("echo") == ["int8", "fp32"]


async def test_a_disk_that_refuses_is_no_trouble_to_what_answers(device, monkeypatch, caplog):
    def refuse(_items):
        raise StoreError("no space left")

    monkeypatch.setattr(device.state, "write_variants", refuse)
    await device.activate()
    await device.pass_s(LOOK_EVERY_S)
    await device.want("int8")

    assert device.variants.loaded("echo") == ["int8", "fp32"]
    assert "What is known about variants cannot be kept: no space left" in caplog.messages


async def test_at_the_end_nothing_is_loaded_any_more(device):
    await device.activate()
    await device.end()
    await device.want("int8")
    device.serving.remove(ECHO)

    assert len(device.starter.workers) == 1


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


@pytest.mark.parametrize("is_removed", [False, True])
async def test_a_variant_is_on_its_way_until_it_is_there_or_the_model_is_gone(device, is_removed):
    worker = await device.activate()
    device.may_judge.clear()
    device.starter.troubles.append(UnavailableError("no process"))
    worker.die()
    await settle()
    assert device.checked == ["int8"]
    assert device.serving.is_mending(ECHO)
    if is_removed:
        device.serving.remove(ECHO)
    else:
        device.may_judge.set()
        await settle()

    assert not device.serving.is_mending(ECHO)
    device.may_judge.set()


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
    await device.pass_s(NOTED_AFTER_S)
    await device.want("int8")
    await device.pass_s(LOOK_EVERY_S)
    assert device.table[ECHO].a.content.variant == "fp32"
    for _ in range(int(NOTED_AFTER_S / LOOK_EVERY_S)):
        await device.pass_s(LOOK_EVERY_S)

    assert not worker.is_closed
    assert device.table[ECHO].a.content.variant == "int8"
    assert device.state.read_slots()[ECHO].a.content.variant == "int8"


async def test_what_has_answered_for_a_moment_only_is_noted_at_the_end(device):
    await device.activate()
    await device.want("int8")
    await device.variants.write_down()

    assert device.state.read_slots()[ECHO].a.content.variant == "int8"
    assert [(item.id, item.has_passed) for item in device.state.read_variants()] == [("fp32", True), ("int8", True)]


async def test_what_answered_before_anybody_looked_after_variants_is_known(device):
    await device.activate()
    again = device.make_variants()

    assert [item.id for item in again.known("echo")] == ["fp32", "absent", "int8", "npu"]


async def test_what_runs_need_is_told_by_variant(device):
    assert device.variants.measured("echo") == {}
    await device.activate()
    await device.pass_s(LOOK_EVERY_S)

    assert device.variants.measured("echo").keys() == {"fp32"}


async def test_request_is_answered_by_the_variant_that_was_chosen_for_it(device):
    await device.activate()
    await device.want("fp32", "int8")
    asked = Asked(request_of(b"7", deadline_s=device.time.now_s + 30.0))
    view = device.variants.submit("echo", "1.0.0", "int8", asked.call)
    device.starter.last.answer_all()

    assert (asked.answer, view.variant) == (b"7", "int8")
    with pytest.raises(ModelUnknownError):
        device.variants.submit("echo", "2.0.0", "int8", asked.call)


async def test_what_makes_room_is_gone_before_anything_is_loaded_in_its_place(device):
    bundle = bundle_of("1.0.0")
    device.serving.put(await device.serving.load(Loadable(bundle=bundle, variant=VARIANTS[2])))
    await device.want("fp32")
    npu, fp32 = device.starter.workers
    asked = Asked(request_of(b"7", deadline_s=device.time.now_s + 30.0))
    device.variants.submit("echo", None, "npu", asked.call)
    device.available_bytes = 0
    await device.want("int8")
    assert (device.variants.loaded("echo"), npu.is_closed, fp32.is_closed) == (["fp32"], False, False)
    npu.answer_all()
    await settle()

    assert asked.answer == b"7"
    assert (device.variants.loaded("echo"), npu.is_closed, fp32.is_closed) == (["int8"], True, True)


async def test_a_model_that_cannot_be_looked_after_is_looked_after_again(device, monkeypatch, caplog):
    def fail(_served):
        raise RuntimeError("no")

    await device.activate()
    await device.want("int8")
    monkeypatch.setattr(device.serving, "end", fail)
    await device.pass_s(WarmRules().unload_after_s)
    assert "Variants of echo cannot be looked after" in caplog.messages
    assert device.variants.loaded("echo") == ["int8", "fp32"]
    monkeypatch.undo()
    await device.pass_s(LOOK_EVERY_S)

    assert device.variants.loaded("echo") == ["int8"]


async def test_where_memory_is_for_one_requests_wait_for_the_other(device, caplog):
    caplog.set_level(logging.INFO)
    before = await device.activate()
    device.available_bytes = 0
    taken = device.ask(b"a")
    device.gate.close()
    await device.want("int8")
    assert (device.gate.waiting, before.is_closed) == ([], False), "what was taken is finished first"
    waiting = device.ask(b"b")
    before.answer_all()
    await settle()
    assert (taken.answer, device.gate.waiting, before.is_closed) == (b"a", ["int8"], True)
    assert (device.variants.line(ECHO).loading, device.variants.line(ECHO).is_cold) == ("int8", True)

    device.gate.open()
    await settle()
    device.starter.last.answer_all()
    assert waiting.answer == b"b"
    assert (device.variants.loaded("echo"), device.variants.switches(ECHO)) == (["int8"], {"cold": 1})
    assert (device.variants.line(ECHO).loading, device.variants.line(ECHO).is_cold) == ("", False)
    (how,) = [record.edged_fields["how"] for record in caplog.records if "Another variant" in record.message]
    assert how == "cold"


async def test_what_waits_for_one_that_cannot_be_loaded_is_answered_by_the_one_before(device):
    await device.activate()
    device.available_bytes = 0
    device.gate.close()
    await device.want("int8")
    waiting = device.ask(b"b")
    device.starter.troubles.append(UnavailableError("no process"))
    device.gate.open()
    await settle()
    device.starter.last.answer_all()

    assert waiting.answer == b"b"
    assert (device.variants.loaded("echo"), device.variants.switches(ECHO)) == (["fp32"], {})
    assert device.variants.unusable("echo")["int8"] == ("no process",)


async def test_where_neither_can_be_loaded_whoever_waits_is_told_so(device):
    await device.activate()
    device.available_bytes = 0
    device.gate.close()
    await device.want("int8")
    waiting = device.ask(b"b")
    device.starter.troubles += [UnavailableError("no process"), UnavailableError("none at all")]
    device.gate.open()
    await settle()

    assert (waiting.error.code, waiting.error.message) == (
        "unavailable",
        "model echo cannot be loaded: none at all",
    )
    assert device.variants.models() == []
    with pytest.raises(UnavailableError, match="loaded"):
        device.ask(b"c")


async def test_while_a_version_may_not_be_replaced_requests_do_not_wait_for_a_variant_of_it(device):
    """What holds the turn may be about to have another version answer; then there is nothing to make room for."""
    before = await device.activate()
    device.available_bytes = 0
    async with device.turns[ECHO]:
        await device.want("int8")
        assert device.variants.loaded("echo") == ["fp32"]
        served = await device.serving.load(Loadable(bundle=bundle_of("2.0.0"), variant=VARIANTS[1]))
        device.serving.put(served)
        await settle()
    await settle()

    assert before.is_closed
    assert (device.variants.loaded("echo"), device.variants.switches(ECHO)) == (["int8"], {})
    assert len(device.starter.workers) == 2


async def test_journal_tells_from_what_to_what_by_which_rule_and_how(device, caplog):
    caplog.set_level(logging.INFO)
    await device.activate()
    device.gate.close()
    device.variants.want("echo", ("int8",), rule="warm")
    await settle()
    device.time.now_s += 1.5
    device.variants.want("echo", ("int8", "fp32"), rule="warm")
    await device.want("int8", "fp32")
    device.gate.open()
    await settle()

    (fields,) = [record.edged_fields for record in caplog.records if "Another variant" in record.message]
    assert fields == {
        "model": "echo", "version": "1.0.0", "before": "fp32", "variant": "int8", "rule": "hot", "how": "warm", "took_ms": 1500.0,
    }  # fmt: skip


async def test_journal_says_so_where_no_rule_wanted_another_variant(device, caplog):
    caplog.set_level(logging.INFO)
    worker = await device.activate()
    await device.pass_s(LOOK_EVERY_S)
    device.starter.troubles.append(UnavailableError("no process"))
    worker.die()
    await settle()

    (fields,) = [record.edged_fields for record in caplog.records if "Another variant" in record.message]
    assert (fields["before"], fields["variant"], fields["rule"], fields["took_ms"]) == ("fp32", "int8", "none", 0.0)
    assert device.variants.switches(ECHO) == {"warm": 1}
