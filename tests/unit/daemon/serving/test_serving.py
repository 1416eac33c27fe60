"""The models by name: which one answers, what they share over versions, and that no request is lost between two of them."""

import asyncio
import random

import pytest

from edged.bundle.manifest import State
from edged.config.schema import ServeConfig
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.names import BODIES_AT_ONCE
from edged.daemon.serving.serving import TIDY_EVERY_S, Serving
from edged.errors import ModelUnknownError, UnavailableError
from edged.ids import ModelName, Version
from edged.runtime.calls import RequestClass
from tests.fakes.requests import Asked, request_of
from tests.fakes.served_workers import HeldTime, Starter, loadable_of, settle

ECHO = ModelName("echo")
BODY_BYTES = 64 << 10


class Device:
    """Models with fake workers."""

    def __init__(self, time: HeldTime) -> None:
        self.time = time
        self.starter = Starter()
        self.limits = ServeConfig(max_body_bytes=BODY_BYTES, max_queued=1000)
        self.serving = Serving(start_worker=self.starter, parallel=2, poison_rest_s=600.0, limits=lambda: self.limits)

    async def swap_to(self, version: str, **options):
        """Load a version and let it answer; returns its worker."""
        served = await self.serving.load(loadable_of(version, **options))
        self.serving.put(served)
        await settle()
        return self.starter.last

    def ask(self, data: bytes = b"0", *, version: str | None = None, **options) -> tuple[Asked, str]:
        """Ask the model; returns the call and the version that takes it."""
        asked = Asked(request_of(data, deadline_s=self.time.now_s + 30.0, **options))
        return asked, str(self.serving.submit("echo", version, asked.call).version)


@pytest.fixture
async def device(monkeypatch):
    device = Device(HeldTime(monkeypatch))
    async with device.serving:
        yield device


async def test_model_that_nobody_knows_is_unknown(device):
    await device.swap_to("1.0.0")

    for ask in (
        lambda: device.serving.view("other", None),
        lambda: device.serving.take_memory("other", 1),
        lambda: device.serving.submit("other", None, Asked(request_of()).call),
    ):
        with pytest.raises(ModelUnknownError, match="no model other") as caught:
            ask()
        assert "echo" in caught.value.hint
    assert device.serving.stats("other") is None


async def test_version_that_is_not_active_is_unknown(device):
    await device.swap_to("1.0.0")

    with pytest.raises(ModelUnknownError, match=r"no active version 2\.0\.0"):
        device.ask(version="2.0.0")
    assert device.ask(version="1.0.0")[1] == "1.0.0"


async def test_model_that_is_being_loaded_is_unavailable_and_has_counters_for_that(device):
    device.serving.announce(ECHO)

    for ask in (device.ask, lambda: device.serving.take_memory("echo", 1)):
        with pytest.raises(UnavailableError, match="being loaded"):
            ask()
    assert device.serving.stats("echo") is not None
    assert device.serving.views() == []


async def test_view_tells_what_an_app_has_to_know(device):
    plain = loadable_of("1.0.0", max_rows=16)
    stateful = Loadable(
        bundle=plain.bundle,
        variant=type(plain.variant)(
            **{name: getattr(plain.variant, name) for name in plain.variant.__struct_fields__}
            | {"batching": None, "state": (State(input="x", output="x"),)}
        ),
    )
    served = await device.serving.load(plain)
    device.serving.put(served)
    batching = device.serving.view("echo", None)
    served = await device.serving.load(stateful)
    device.serving.put(served)
    with_state = device.serving.view("echo", None)

    assert (batching.max_rows, batching.state_inputs) == (16, frozenset())
    assert (with_state.max_rows, with_state.state_inputs) == (0, frozenset({"x"}))
    assert device.serving.views() == [with_state]


async def test_model_is_ready_while_it_has_a_worker(device):
    worker = await device.swap_to("1.0.0")
    assert device.serving.view("echo", None).is_ready
    worker.die()
    assert not device.serving.view("echo", None).is_ready
    await settle()
    assert device.serving.view("echo", None).is_ready


async def test_requests_that_were_taken_finish_on_the_old_version_and_new_ones_go_to_the_new(device):
    old = await device.swap_to("1.0.0")
    before = [device.ask(data) for data in (b"a", b"b", b"c")]
    new = await device.swap_to("1.1.0")
    after = device.ask(b"d")

    assert [version for _, version in (*before, after)] == ["1.0.0", "1.0.0", "1.0.0", "1.1.0"]
    assert not old.is_closed
    old.answer_all()
    new.answer_all()
    await settle()
    assert [asked.answer for asked, _ in before] == [b"a", b"b", b"c"]
    assert after[0].answer == b"d"
    assert (old.is_closed, new.is_closed) == (True, False)


async def test_old_version_whose_worker_is_lost_gets_another_for_what_waits(device):
    old = await device.swap_to("1.0.0")
    asked = [device.ask(data)[0] for data in (b"a", b"b", b"c")]
    await device.swap_to("1.1.0")
    old.die()
    await settle()

    device.starter.last.answer_all()
    await settle()
    assert asked[2].answer == b"c"
    assert [worker.is_closed for worker in device.starter.workers] == [True, False, True]


async def test_old_version_that_hangs_is_ended_in_the_end(device):
    old = await device.swap_to("1.0.0")
    asked, _ = device.ask()
    await device.swap_to("1.1.0")
    await device.time.pass_s(30.0)
    assert asked.is_finished
    assert not old.is_closed
    await device.time.pass_s(10.0)

    assert old.is_closed


@pytest.mark.parametrize("seed", range(5))
async def test_storm_of_requests_over_two_hundred_swaps_loses_none(device, seed):
    """Every request is answered with its own bytes by the version that took it, whatever happens in between."""
    chance = random.Random(seed)
    await device.swap_to("0.0.0")
    asked = []
    for swap in range(200):
        for _ in range(chance.randrange(1, 12)):
            data = len(asked).to_bytes(4, "big")
            asked.append((data, *device.ask(data, priority=chance.randrange(4), sequence=chance.choice([None, 1, 2]))))
            if chance.random() < 0.6:
                chance.choice(device.starter.workers[-3:]).answer_all()
        await device.swap_to(f"0.0.{swap + 1}")
    for worker in device.starter.workers:
        worker.answer_all()
    await settle()

    assert len(asked) > 500
    assert [one.answer for _, one, _ in asked] == [data for data, _, _ in asked]
    answered_by = {run.asked: i for i, worker in enumerate(device.starter.workers) for run in worker.runs}
    assert all(version == f"0.0.{answered_by[data]}" for data, _, version in asked)
    assert all(worker.is_closed for worker in device.starter.workers[:-1])
    stats = device.serving.stats("echo")
    assert stats.requests == {"ok": len(asked)}
    assert stats.rejections == {}


async def test_model_that_is_removed_finishes_what_it_has(device):
    worker = await device.swap_to("1.0.0")
    asked, _ = device.ask(b"a")
    device.serving.remove(ECHO)

    with pytest.raises(ModelUnknownError):
        device.ask()
    worker.answer_all()
    await settle()
    assert asked.answer == b"a"
    assert worker.is_closed


async def test_leaving_ends_every_worker_and_whatever_is_under_way(monkeypatch):
    device = Device(HeldTime(monkeypatch))
    async with device.serving:
        await device.swap_to("1.0.0")
        first = [device.ask()[0] for _ in range(3)]
        await device.swap_to("1.1.0")
        second = [device.ask()[0] for _ in range(3)]

    assert all(worker.is_closed for worker in device.starter.workers)
    assert all(asked.is_finished for asked in (*first, *second))


async def test_worker_that_does_not_start_leaves_what_is_served(device):
    await device.swap_to("1.0.0")
    device.starter.troubles.append(UnavailableError("no memory"))
    with pytest.raises(UnavailableError):
        await device.serving.load(loadable_of("1.1.0"))

    assert device.ask()[1] == "1.0.0"


async def test_counters_outlive_versions_and_end_with_the_model(device):
    (await device.swap_to("1.0.0"), device.ask())[0].answer_all()
    (await device.swap_to("1.1.0"), device.ask())[0].answer_all()
    assert device.serving.stats("echo").requests == {"ok": 2}
    device.serving.remove(ECHO)
    assert device.serving.stats("echo") is None
    device.serving.tidy()
    await device.swap_to("1.2.0")

    assert device.serving.stats("echo").requests == {}


async def test_memory_for_bodies_is_one_pool_for_all_versions_of_a_model(device):
    """A request may be received while one version is active and run on the next."""
    await device.swap_to("1.0.0")
    first = device.serving.take_memory("echo", BODY_BYTES)
    await device.swap_to("1.1.0")
    second = device.serving.take_memory("echo", BODY_BYTES)

    assert first.number != second.number
    for segment in (first, second):
        segment.release()


async def test_memory_for_bodies_is_bounded_by_what_a_few_of_the_largest_need(device):
    await device.swap_to("1.0.0")
    taken = [device.serving.take_memory("echo", BODY_BYTES) for _ in range(BODIES_AT_ONCE)]
    with pytest.raises(UnavailableError, match="memory for tensors"):
        device.serving.take_memory("echo", BODY_BYTES)
    device.limits = ServeConfig(max_body_bytes=2 * BODY_BYTES)
    taken.append(device.serving.take_memory("echo", BODY_BYTES))

    for segment in taken:
        segment.release()


async def test_quiet_model_gives_its_memory_back(device):
    worker = await device.swap_to("1.0.0")
    device.serving.take_memory("echo", BODY_BYTES).release()
    (usage,) = device.serving.usage()
    assert usage.shared_memory_bytes == BODY_BYTES
    await device.time.pass_s(TIDY_EVERY_S)
    device.ask()
    worker.answer_all()
    await device.time.pass_s(TIDY_EVERY_S)
    assert device.serving.usage()[0].shared_memory_bytes == BODY_BYTES, "there was a request since the last look"
    await device.time.pass_s(TIDY_EVERY_S)

    assert device.serving.usage()[0].shared_memory_bytes == 0


async def test_memory_of_a_removed_model_waits_for_the_body_that_is_still_being_received(device):
    await device.swap_to("1.0.0")
    segment = device.serving.take_memory("echo", BODY_BYTES)
    device.serving.remove(ECHO)
    device.serving.tidy()
    assert ECHO in device.serving._names
    segment.release()
    device.serving.tidy()

    assert ECHO not in device.serving._names


async def test_usage_tells_what_is_going_on(device):
    worker = await device.swap_to("1.0.0")
    for _ in range(5):
        device.ask()

    (usage,) = device.serving.usage()

    assert (usage.worker_pid, usage.waiting, usage.running) == (worker.pid, 3, 2)
    assert usage.view == device.serving.view("echo", None)
    assert usage.stats is device.serving.stats("echo")


async def test_model_that_is_removed_to_be_loaded_again_keeps_its_counters(device):
    """What failed its trial answers no more while the fallback is tried again and again."""
    await device.swap_to("1.0.0")
    stats = device.serving.stats("echo")
    device.serving.remove(ECHO)
    device.serving.announce(ECHO)
    device.serving.tidy()

    assert device.serving.stats("echo") is stats


async def test_idle_time_runs_from_the_last_request_of_an_app(device):
    assert device.serving.idle_s() == 0.0
    worker = await device.swap_to("1.0.0")
    await device.time.pass_s(5.0)
    assert device.serving.idle_s() == 5.0

    device.ask()
    await settle()
    await device.time.pass_s(2.0)
    assert device.serving.idle_s() == 0.0
    worker.answer_all()
    await settle()

    assert device.serving.idle_s() == 2.0


async def test_a_new_version_and_the_daemons_own_requests_do_not_end_idle_time(device):
    await device.swap_to("1.0.0")
    await device.time.pass_s(60.0)
    device.ask()
    device.starter.last.answer_all()
    await device.time.pass_s(3.0)
    await device.swap_to("1.1.0")
    check = asyncio.create_task(device.serving.served[ECHO].infer(request_of().inputs, timeout_s=10.0))
    await settle()
    device.starter.last.answer_all()
    await check

    assert device.serving.idle_s() == 3.0


async def test_background_requests_leave_a_device_unwanted(device):
    """Otherwise what waits for idle time would end it."""
    worker = await device.swap_to("1.0.0")
    await device.time.pass_s(5.0)
    device.ask(request_class=RequestClass.BACKGROUND)
    await settle()
    assert (device.serving.idle_s(), device.serving.unwanted_s()) == (0.0, 5.0)
    worker.answer_all()
    await settle()
    await device.time.pass_s(2.0)

    assert (device.serving.idle_s(), device.serving.unwanted_s()) == (2.0, 7.0)


async def test_whoever_waits_for_an_answer_wants_the_device(device):
    await device.swap_to("1.0.0")
    await device.time.pass_s(5.0)
    device.ask()
    await settle()
    await device.time.pass_s(2.0)
    assert device.serving.unwanted_s() == 0.0
    device.starter.last.answer_all()
    await settle()
    await device.swap_to("1.1.0")

    assert device.serving.unwanted_s() == 2.0
    device.serving.served[ECHO].count_lent({"ok": 1})
    assert device.serving.unwanted_s() == 0.0


async def test_requests_on_lent_connections_end_idle_time(device):
    await device.swap_to("1.0.0")
    await device.time.pass_s(9.0)
    device.serving.served[ECHO].count_lent({})
    assert device.serving.idle_s() == 9.0

    device.serving.served[ECHO].count_lent({"ok": 3})

    assert device.serving.idle_s() == 0.0


async def test_version_that_stands_by_answers_again_without_being_loaded(device):
    first = await device.swap_to("1.0.0")
    second = await device.serving.load(loadable_of("2.0.0"))
    device.serving.put(second, keeps_before=True)
    await settle()
    assert not first.is_closed
    started = len(device.starter.workers)

    assert device.serving.put_back(ECHO)
    asked, version = device.ask(b"a")
    await settle()

    assert version == "1.0.0"
    assert first.asked == [b"a"]
    assert len(device.starter.workers) == started
    assert second.worker is None, "what it replaced is ended"
    assert device.serving.standbys == {}
    first.answer_all()
    assert asked.call.is_finished


async def test_requests_of_the_version_that_is_turned_down_finish_where_they_are(device):
    await device.swap_to("1.0.0")
    served = await device.serving.load(loadable_of("2.0.0"))
    device.serving.put(served, keeps_before=True)
    asked, _ = device.ask(b"a")
    await settle()
    device.serving.put_back(ECHO)
    await settle()
    assert not asked.call.is_finished

    device.starter.last.answer_all()
    await settle()
    assert asked.answer == b"a"


async def test_version_that_stands_by_without_a_worker_cannot_answer(device):
    """It is being replaced: loading the fallback anew is no slower, and says when it fails."""
    first = await device.swap_to("1.0.0")
    device.serving.put(await device.serving.load(loadable_of("2.0.0")), keeps_before=True)
    device.starter.troubles.append(UnavailableError("no process"))
    first.die()

    assert not device.serving.put_back(ECHO)
    assert device.serving.view("echo", None).version == Version.parse("2.0.0")
    assert device.serving.standbys == {}


@pytest.mark.parametrize("end", ["end_standby", "remove", "put"])
async def test_nothing_stands_by_for_longer_than_it_is_wanted(device, end):
    first = await device.swap_to("1.0.0")
    device.serving.put(await device.serving.load(loadable_of("2.0.0")), keeps_before=True)
    if end == "put":
        device.serving.put(await device.serving.load(loadable_of("3.0.0")))
    else:
        getattr(device.serving, end)(ECHO)
    await settle()

    assert first.is_closed
    assert device.serving.standbys == {}
