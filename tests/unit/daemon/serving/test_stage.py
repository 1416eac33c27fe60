"""Several variants of one version: which answers, what becomes of what was taken, and that all of them end with the version."""

import asyncio

import msgspec
import pytest

from edged.bundle.manifest import State
from edged.config.schema import ServeConfig
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.serving import Serving
from edged.errors import ModelStoppedError, UnavailableError
from edged.ids import ModelName
from tests.fakes.requests import Asked, request_of
from tests.fakes.served_workers import HeldTime, Starter, loadable_of, settle

ECHO = ModelName("echo")


def variant_of_echo(id_: str, version: str = "1.0.0", *, state: bool = False) -> Loadable:
    found = loadable_of(version)
    states = (State(input="x", output="x"),) if state else ()
    return Loadable(bundle=found.bundle, variant=msgspec.structs.replace(found.variant, id=id_, state=states))


class Device:
    """Models with fake workers."""

    def __init__(self, time: HeldTime) -> None:
        self.time = time
        self.starter = Starter()
        self.serving = Serving(start_worker=self.starter, parallel=1, poison_rest_s=600.0, limits=ServeConfig)

    async def load(self, id_: str, version: str = "1.0.0", *, state: bool = False):
        """Load a variant; returns it with its worker."""
        served = await self.serving.load(variant_of_echo(id_, version, state=state))
        return served, self.starter.last

    async def begin(self):
        """Have two variants of a version, of which the first answers; returns both with their workers."""
        first, second = await self.load("fp32"), await self.load("int8")
        self.serving.put(first[0])
        self.serving.add(second[0])
        await settle()
        return first, second

    def ask(self, data: bytes = b"0", variant: str = "", **options) -> tuple[Asked, str]:
        asked = Asked(request_of(data, deadline_s=self.time.now_s + 30.0, **options))
        return asked, self.serving.submit("echo", None, asked.call, variant).variant


@pytest.fixture
async def device(monkeypatch):
    device = Device(HeldTime(monkeypatch))
    async with device.serving:
        yield device


async def test_variant_that_is_asked_for_answers_and_otherwise_the_first(device):
    (_, one), (_, other) = await device.begin()
    said = [device.ask(b"a")[1], device.ask(b"b", "int8")[1], device.ask(b"c", "not-there")[1]]
    one.answer_all()

    assert said == ["fp32", "int8", "fp32"]
    assert (one.asked, other.asked) == ([b"a", b"c"], [b"b"])


async def test_switch_leaves_what_was_taken_where_it_is(device):
    (_, one), (second, other) = await device.begin()
    before = [device.ask(b"a")[0], device.ask(b"b")[0]]
    device.serving.switch(second)
    after, variant = device.ask(b"c")
    one.answer_all()
    other.answer_all()
    await settle()

    assert variant == "int8"
    assert [asked.answer for asked in (*before, after)] == [b"a", b"b", b"c"]
    assert not one.is_closed
    assert [served.loadable.variant.id for served in device.serving.variants(ECHO)] == ["int8", "fp32"]


async def test_variant_that_is_ended_finishes_what_it_took(device):
    _, (second, other) = await device.begin()
    asked, _ = device.ask(b"a", "int8")
    device.serving.end(second)
    await settle()
    assert not other.is_closed
    assert device.ask(b"b", "int8")[1] == "fp32"
    other.answer_all()
    await device.serving.gone([second])

    assert asked.answer == b"a"
    assert other.is_closed


@pytest.mark.parametrize("how", ["put", "remove", "put_back"])
async def test_all_variants_end_with_their_version(device, how):
    (_, one), (_, other) = await device.begin()
    if how == "remove":
        device.serving.remove(ECHO)
    else:
        served, newest = await device.load("fp32", "2.0.0")
        device.serving.put(served, keeps_before=how == "put_back")
        await settle()
        assert (one.is_closed, other.is_closed) == (how == "put", True)
    if how == "put_back":
        more, _ = await device.load("int8", "2.0.0")
        device.serving.add(more)
        device.serving.put_back(ECHO)
        await settle()
        assert newest.is_closed
    await settle()

    assert [worker.is_closed for worker in device.starter.workers] == {
        "put": [True, True, False],
        "remove": [True, True],
        "put_back": [False, True, True, True],
    }[how]


async def test_stop_ends_what_is_under_way_in_every_variant(device):
    await device.begin()
    asked = [device.ask(b"a")[0], device.ask(b"b", "int8")[0]]
    device.serving.hold(ECHO, lambda: ModelStoppedError("stopped", since="now"))

    assert all(isinstance(one.error, ModelStoppedError) for one in asked)


async def test_usage_and_idle_time_are_of_all_variants_together(device):
    (_, one), (_, other) = await device.begin()
    for variant in ("", "", "int8", "int8"):
        device.ask(variant=variant)
    (usage,) = device.serving.usage()
    assert (usage.waiting, usage.running, usage.worker_pid) == (2, 2, one.pid)
    one.answer_all()
    await settle()
    await device.time.pass_s(2.0)
    assert device.serving.idle_s() == 0.0
    other.answer_all()
    await settle()
    await device.time.pass_s(3.0)

    assert device.serving.idle_s() == 5.0


async def test_requests_wait_for_a_variant_that_gets_its_worker_when_the_other_has_ended(device):
    (_, one), (_, other) = await device.begin()
    taken, _ = device.ask(b"a")
    coming = device.serving.employ(variant_of_echo("fp16"), None)
    giving_way = asyncio.create_task(device.serving.give_way(coming))
    await settle()
    waiting, variant = device.ask(b"b")
    assert variant == "fp16"
    assert not device.serving.view("echo", None).is_ready
    assert not giving_way.done(), "what was taken is still under way"
    one.answer_all()
    await giving_way
    assert (taken.answer, one.is_closed, other.is_closed) == (b"a", True, True)
    assert not waiting.is_finished
    worker = await device.starter()
    coming.employ(worker)
    worker.answer_all()

    assert waiting.answer == b"b"
    assert device.serving.view("echo", None).is_ready


async def test_what_waits_is_taken_over_in_its_order_and_says_by_whom(device):
    (first, one), (second, other) = await device.begin()
    asked = [device.ask(data)[0] for data in (b"a", b"b", b"c")]
    second.take_over(first)
    assert [call.call.instead for call in asked] == ["", "int8", "int8"]
    one.answer_all()
    other.answer_all()

    assert (one.asked, other.asked) == ([b"a"], [b"b", b"c"])
    assert [call.answer for call in asked] == [b"a", b"b", b"c"]


async def test_whoever_hears_that_a_worker_cannot_be_started_may_have_another_take_what_waits(device):
    """It is told before anything is refused."""
    (first, one), (second, other) = await device.begin()

    def mend(_model):
        if first.start_error and device.serving.served[ECHO] is first:
            device.serving.switch(second)
            second.take_over(first)

    device.serving.on_change(mend)
    device.ask(b"a")
    waiting, _ = device.ask(b"b")
    device.starter.troubles.append(UnavailableError("no memory"))
    one.die()
    await settle()
    other.answer_all()

    assert waiting.answer == b"b"
    assert device.ask()[1] == "int8"


async def test_supervisor_is_asked_again_when_nothing_takes_the_place_of_what_has_no_worker(device):
    reviewed = []
    device.serving.supervise(reviewed.append)
    device.serving.mend(ECHO, is_under_way=True)
    assert device.serving.is_mending(ECHO)
    device.serving.mend(ECHO, is_under_way=True)
    assert reviewed == []
    device.serving.mend(ECHO, is_under_way=False)

    assert reviewed == [ECHO]
    assert not device.serving.is_mending(ECHO)


async def test_sequence_goes_on_in_the_variant_that_has_its_state(device):
    first, second = await device.load("fp32", state=True), await device.load("int8", state=True)
    device.serving.put(first[0])
    device.serving.add(second[0])
    said = [device.ask(variant="int8", sequence=1)[1]]
    device.serving.switch(second[0])
    device.serving.switch(first[0])
    said += [device.ask(sequence=1)[1], device.ask(sequence=2)[1], device.ask()[1]]

    assert said == ["int8", "int8", "fp32", "fp32"]
