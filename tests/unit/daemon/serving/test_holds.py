"""Models that may not answer, and what answers in their place: for each request there is one answer, and it is the right one."""

import pytest

from edged.api.ports import ModelView
from edged.bundle.fallback import Constant, ConstantOutput
from edged.config.schema import ServeConfig
from edged.daemon.serving.serving import Serving
from edged.daemon.serving.stand_in import constant_stand_in, stand_in_of
from edged.errors import ModelStoppedError, ModelUnknownError, UnavailableError
from edged.ids import ModelName
from tests.fakes.requests import Asked, request_of
from tests.fakes.served_workers import HeldTime, Starter, loadable_of, settle

ECHO = ModelName("echo")


def stopped() -> ModelStoppedError:
    return ModelStoppedError("stopped for a test", retry_after_s=9)


class Device:
    def __init__(self, time: HeldTime) -> None:
        self.time = time
        self.starter = Starter()
        self.serving = Serving(start_worker=self.starter, parallel=1, poison_rest_s=600.0, limits=ServeConfig)

    async def load(self, version: str, **options):
        served = await self.serving.load(loadable_of(version), **options)
        return served, self.starter.last

    async def put(self, version: str):
        served, worker = await self.load(version)
        self.serving.put(served)
        await settle()
        return worker

    def ask(self, data: bytes = b"0", *, version: str | None = None) -> tuple[Asked, ModelView]:
        asked = Asked(request_of(data, deadline_s=self.time.now_s + 30.0))
        return asked, self.serving.submit("echo", version, asked.call)


@pytest.fixture
async def device(monkeypatch):
    device = Device(HeldTime(monkeypatch))
    async with device.serving:
        yield device


def constant_of(device, served, *, data=(7,)):
    output = ConstantOutput(name="x", dtype="UINT8", shape=(1, 1), data=data)
    manifest = served.loadable.bundle.manifest
    manifest.variants = (served.loadable.variant,)
    stats = device.serving.fallback_stats(ECHO)
    return constant_stand_in(Constant(outputs=(output,)), manifest, "a constant", stats)


async def test_a_stop_also_ends_what_a_version_that_was_replaced_has_yet_to_finish(device):
    old = await device.put("1.0.0")
    runs, waits = device.ask()[0], device.ask()[0]
    await device.put("1.1.0")
    assert (runs.is_finished, waits.is_finished) == (False, False)
    device.serving.hold(ECHO, stopped)

    assert [asked.error.code for asked in (runs, waits)] == ["model-stopped"] * 2
    assert old.stopped == old.runs, "and the run with it"


async def test_held_model_refuses_and_stays_loaded(device):
    worker = await device.put("1.0.0")
    device.serving.hold(ECHO, stopped)

    with pytest.raises(ModelStoppedError, match="for a test"):
        device.ask()
    with pytest.raises(ModelStoppedError):
        device.serving.take_memory("echo", 1)
    assert not device.serving.view("echo", None).is_ready
    assert [(usage.is_held, usage.worker_pid) for usage in device.serving.usage()] == [(True, worker.pid)]
    assert device.serving.stats("echo").rejections == {"stopped": 2}
    device.serving.release(ECHO)
    asked, _ = device.ask(b"a")
    worker.answer_all()
    assert asked.answer == b"a"
    assert not worker.is_closed


async def test_everything_under_way_ends_with_the_error_whether_it_runs_or_waits(device):
    worker = await device.put("1.0.0")
    running, waiting = device.ask(b"a")[0], device.ask(b"b")[0]
    device.serving.hold(ECHO, stopped)

    assert [type(asked.error) for asked in (running, waiting)] == [ModelStoppedError] * 2
    assert [run.asked for run in worker.stopped] == [b"a"]
    worker.answer_all()
    device.serving.release(ECHO)
    later, _ = device.ask(b"c")
    worker.answer_all()
    assert (later.answer, worker.asked) == (b"c", [b"a", b"c"])


async def test_every_caller_gets_an_error_of_its_own(device):
    """One that is raised again and again would grow with every traceback."""
    await device.put("1.0.0")
    device.serving.hold(ECHO, stopped)
    errors = []
    for _ in range(2):
        with pytest.raises(ModelStoppedError) as caught:
            device.ask()
        errors.append(caught.value)

    assert errors[0] is not errors[1]


async def test_model_that_is_held_before_it_is_loaded_never_answers(device):
    device.serving.hold(ECHO, stopped)
    with pytest.raises(ModelStoppedError):
        device.ask()
    worker = await device.put("1.0.0")

    with pytest.raises(ModelStoppedError):
        device.ask()
    assert worker.asked == []


async def test_supervisor_is_asked_before_a_version_answers(device):
    seen = []

    def review(model):
        served = device.serving.served.get(model)
        seen.append(None if served is None else served.loadable.bundle.manifest.version)
        if seen[-1] == "2.0.0":
            device.serving.hold(model, stopped)
        else:
            device.serving.release(model)

    device.serving.supervise(review)
    await device.put("1.0.0")
    device.ask()
    await device.put("2.0.0")
    with pytest.raises(ModelStoppedError):
        device.ask()
    await device.put("3.0.0")
    device.ask()
    device.serving.remove(ECHO)
    assert seen == ["1.0.0", "2.0.0", "3.0.0", None]


async def test_other_version_answers_in_the_place_of_a_held_one_and_says_so(device):
    active = await device.put("2.0.0")
    device.serving.hold(ECHO, stopped)
    served, other = await device.load("1.0.0", is_stand_in=True)
    device.serving.stand_in(ECHO, stand_in_of(served, "previous-version", "version 1.0.0"))
    asked, view = device.ask(b"a")
    other.answer_all()

    assert (str(view.version), view.fallback, view.is_ready, asked.answer) == ("1.0.0", "previous-version", True, b"a")
    assert active.asked == []
    with pytest.raises(ModelStoppedError):
        device.ask(version="2.0.0")
    assert device.serving.answering("echo", None)[1] is served
    # A trial is judged by what the version itself did.
    assert (device.serving.stats("echo").requests, dict(device.serving.fallback_stats(ECHO).requests)) == (
        {},
        {"ok": 1},
    )


async def test_stand_in_finishes_what_it_took_when_the_model_answers_again(device):
    active = await device.put("2.0.0")
    device.serving.hold(ECHO, stopped)
    served, other = await device.load("1.0.0", is_stand_in=True)
    device.serving.stand_in(ECHO, stand_in_of(served, "previous-version", "version 1.0.0"))
    before, _ = device.ask(b"a")
    device.serving.release(ECHO)
    device.serving.stand_down(ECHO)
    after, view = device.ask(b"b")
    await settle()
    assert not other.is_closed
    other.answer_all()
    active.answer_all()
    await settle()

    assert (before.answer, after.answer, str(view.version), view.fallback) == (b"a", b"b", "2.0.0", None)
    assert (other.is_closed, active.is_closed) == (True, False)


async def test_stand_in_ends_with_a_stop(device):
    """It was found for another reason, and whether it may answer now is to be found out anew."""
    await device.put("2.0.0")
    served, other = await device.load("1.0.0", is_stand_in=True)
    device.serving.stand_in(ECHO, stand_in_of(served, "previous-version", "version 1.0.0"))
    asked, _ = device.ask(b"a")
    device.serving.hold(ECHO, stopped)

    assert isinstance(asked.error, ModelStoppedError)
    with pytest.raises(ModelStoppedError):
        device.ask()
    other.answer_all()
    await settle()
    assert other.is_closed


async def test_constant_answers_without_a_worker_also_for_a_model_that_is_not_loaded(device):
    served, worker = await device.load("1.0.0")
    device.serving.stand_in(ECHO, constant_of(device, served))
    asked, view = device.ask(b"anything")
    assert not asked.is_finished
    await settle()

    assert (asked.answer, view.fallback, view.is_ready, str(view.version)) == (b"\x07", "constant", True, "1.0.0")
    assert [view.name for view in device.serving.views()] == [ECHO]
    (usage,) = device.serving.usage()
    assert (usage.worker_pid, usage.waiting, usage.running) == (None, 0, 0)
    assert worker.asked == []
    with pytest.raises(UnavailableError, match="constant"):
        device.serving.answering("echo", None)
    with pytest.raises(ModelUnknownError):
        device.ask(version="3.0.0")
    device.serving.stand_down(ECHO)
    with pytest.raises(ModelUnknownError):
        device.ask()
    await served.close()
