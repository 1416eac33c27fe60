"""Background work is kept within bounds, goes on in order and a few at a time, and is always finished."""

import pytest

from edged.config.schema import BackgroundConfig
from edged.daemon.decisions.holding import FULL_RETRY_S, LOOK_EVERY_S, Holding
from edged.errors import DeferredError, ModelStoppedError, PolicyDeniedError, UnavailableError
from edged.policy.ask import Ask
from edged.runtime.calls import Call
from edged.runtime.tensors import InferResult
from tests.fakes.requests import BACKGROUND, Asked, echoes, request_of
from tests.fakes.served_workers import HeldTime, settle

RUN_S = 30.0
HOUR_S = 3600.0
HOT = DeferredError("hot", rule="hot", retry_after_s=60)
FULL = UnavailableError("the queue is full", retry_after_s=1)


def ask_of(model: str = "echo") -> Ask:
    return Ask(model=model, request_class=BACKGROUND)


class Memory:
    """Shared memory of a request, of a size."""

    def __init__(self, size: int) -> None:
        self.size = size


class Device:
    """Holding, and what its requests go on to: nothing as long as there is ``trouble``."""

    def __init__(self, time: HeldTime) -> None:
        self.time = time
        self.rules: dict[str, int] = {}
        self.looked = 0
        self.trouble: Exception | None = HOT
        self.room: int | None = None
        """Requests that may be under way; None is any number."""
        self.under_way: list[Call] = []
        self.tried = 0
        self.abandoned: list[Call] = []
        self.holding = Holding(rules=self._read_rules, run_s=lambda: RUN_S)

    def ask(
        self, data: bytes = b"0", *, model: str = "echo", within_s: float = HOUR_S, size: int = 0, **options
    ) -> Asked:
        memory = Memory(size) if size else None
        request = request_of(
            data, deadline_s=self.time.now_s + within_s, request_class=BACKGROUND, memory=memory, **options
        )
        asked = Asked(request)
        self.holding.keep(ask_of(model), asked.call, go_on=self.go_on)
        return asked

    def _read_rules(self) -> BackgroundConfig:
        self.looked += 1
        return BackgroundConfig(**self.rules)

    def go_on(self, call: Call) -> None:
        self.tried += 1
        if self.trouble is not None:
            raise self.trouble
        if self.room is not None and len(self.under_way) >= self.room:
            raise FULL
        self.under_way.append(call)
        call.abandoned = lambda: self.abandoned.append(call)

    @property
    def running(self) -> bytes:
        """The bytes of what is under way, in the order in which it began."""
        return b"".join(bytes(call.request.inputs[0].data) for call in self.under_way)

    async def cool_down(self) -> None:
        self.trouble = None
        self.holding.wake()
        await settle()

    async def answer(self, count: int = 1) -> None:
        for _ in range(count):
            call = self.under_way.pop(0)
            call.finish(echoes([call.request])[0])
        await settle()

    def said(self, model: str = "echo") -> tuple[int, int, dict[str, int]]:
        """Return how many are kept and under way, and how others ended."""
        work = self.holding.work()[model]
        return work.kept, work.under_way, work.ended


@pytest.fixture
async def device(monkeypatch):
    device = Device(HeldTime(monkeypatch))
    yield device
    device.holding.close()


async def test_what_may_run_runs_at_once(device):
    device.trouble = None
    asked = device.ask(b"7")
    assert not device.holding.has(ask_of())
    await device.answer()

    assert asked.answer == b"7"
    assert device.said() == (0, 0, {"finished": 1})
    assert device.holding.work()["echo"].longest_s == 0.0


async def test_work_is_kept_until_it_may_run_and_goes_on_in_order(device):
    asked = [device.ask(data) for data in (b"1", b"2", b"3")]
    device.holding.wake()
    await settle()
    assert not any(one.is_finished for one in asked)

    await device.cool_down()
    assert device.running == b"123"
    await device.answer(3)
    assert [one.answer for one in asked] == [b"1", b"2", b"3"]


async def test_a_new_request_does_not_overtake_what_is_kept(device):
    device.ask(b"1")
    device.trouble = None
    device.ask(b"2")
    assert device.running == b""

    await device.cool_down()
    assert device.running == b"12"


async def test_only_so_many_go_on_at_once_and_the_rest_follows(device):
    device.rules["at_once"] = 2
    for data in (b"1", b"2", b"3", b"4"):
        device.ask(data)
    await device.cool_down()
    assert device.running == b"12"

    await device.answer()
    assert device.running == b"23"
    assert device.said() == (1, 2, {"finished": 1})


async def test_models_are_told_of_apart(device):
    device.ask()
    device.ask(model="other")
    device.ask(model="other")

    assert (device.said()[0], device.said("other")[0]) == (1, 2)


async def test_nothing_is_remembered_of_who_has_nothing_kept_any_more(device):
    for uid in range(3):
        device.ask(uid=uid, within_s=10.0)
    await device.time.pass_s(10.0)

    assert not device.holding._users
    assert not device.holding._lines


async def test_models_do_not_wait_for_each_other(device):
    device.rules["at_once"] = 1
    for data, model in ((b"1", "echo"), (b"2", "echo"), (b"3", "other")):
        device.ask(data, model=model)
    await device.cool_down()

    assert device.running == b"13"


async def test_where_the_queue_has_no_room_the_rest_is_kept_and_tried_again(device):
    device.room = 1
    for data in (b"1", b"2"):
        device.ask(data)
    await device.cool_down()
    assert device.running == b"1"

    device.room = 2
    await device.time.pass_s(FULL.retry_after_s)
    assert device.running == b"12"


async def test_when_one_has_ended_the_next_is_tried_at_once(device):
    """What has no room because of a limit has it then, however long the limit said to wait."""
    device.room = 1
    for data in (b"1", b"2"):
        device.ask(data)
    await device.cool_down()
    await device.answer()

    assert device.running == b"2"


async def test_a_new_request_does_not_hear_of_what_becomes_of_those_before_it(device):
    device.rules["at_once"] = 1
    device.trouble = None
    for data in (b"1", b"2"):
        device.ask(data)
    device.rules["at_once"] = 16
    device.trouble = PolicyDeniedError("no", rule="closed")
    asked = device.ask(b"3")

    assert not asked.is_finished


async def test_what_is_deferred_is_not_tried_for_every_new_request(device):
    for _ in range(20):
        device.ask()

    assert device.tried == 1


async def test_what_is_deferred_is_not_tried_because_something_else_has_ended(device):
    device.ask(within_s=HOUR_S)
    hurried = device.ask(within_s=1.0)
    await device.time.pass_s(1.0)

    assert hurried.is_finished
    assert device.tried == 1


async def test_what_waits_for_others_to_end_is_not_looked_at_all_the_time(device):
    device.rules["at_once"] = 1
    for data in (b"1", b"2"):
        device.ask(data)
    await device.cool_down()
    looked = device.looked
    await settle()

    assert (device.running, device.looked) == (b"1", looked)


async def test_it_is_told_of_each_kind_whether_new_requests_have_to_wait(device):
    device.ask()
    assert device.holding.has(ask_of())
    assert not device.holding.has(ask_of("other"))
    await device.cool_down()

    assert not device.holding.has(ask_of())


async def test_what_nobody_tells_of_is_noticed_after_a_while(device):
    """A rule may say that nothing runs for an hour; a stop ends what is kept sooner."""
    asked = device.ask()
    device.trouble = ModelStoppedError("stopped")
    await device.time.pass_s(LOOK_EVERY_S)

    assert asked.error.code == "model-stopped"


async def test_work_that_lost_its_place_is_the_first_to_be_kept_again(device):
    device.rules["at_once"] = 1
    asked = [device.ask(data) for data in (b"1", b"2")]
    await device.cool_down()
    device.under_way.pop().finish(FULL)
    await settle()
    assert device.running == b""

    device.holding.wake()
    await settle()
    assert device.running == b"1"
    assert not any(one.is_finished for one in asked)


async def test_work_that_lost_its_place_is_tried_again_when_the_queue_said_and_not_before(device):
    device.rules["at_once"] = 1
    device.ask(b"1")
    device.ask(b"2", within_s=0.5)
    await device.cool_down()
    device.under_way.pop().finish(FULL)
    await device.time.pass_s(0.5)
    assert device.running == b""

    await device.time.pass_s(FULL.retry_after_s - 0.5)
    assert device.running == b"1"


async def test_the_last_that_lost_its_place_is_tried_again_by_itself(device):
    device.trouble = None
    device.ask(b"1")
    device.under_way.pop().finish(FULL)
    await device.time.pass_s(FULL.retry_after_s)

    assert device.running == b"1"


async def test_what_comes_back_at_its_deadline_or_while_the_daemon_stops_is_over(device):
    device.trouble = None
    late, stopped = device.ask(within_s=10.0), device.ask()
    device.time.now_s += 10.0
    device.under_way.pop(0).finish(FULL)
    assert late.error is FULL

    device.holding.close()
    device.under_way.pop(0).finish(FULL)
    assert stopped.error is FULL


async def test_what_the_model_says_is_final(device):
    device.trouble = None
    asked = device.ask()
    device.under_way.pop().finish(PolicyDeniedError("no", rule="closed"))

    assert asked.error.code == "policy-denied"


async def test_what_is_denied_in_the_end_ends_with_that_and_the_next_is_tried(device):
    asked = [device.ask(), device.ask()]
    device.trouble = PolicyDeniedError("no", rule="closed")
    device.holding.wake()
    await settle()

    assert [one.error.code for one in asked] == ["policy-denied"] * 2
    assert device.said() == (0, 0, {"finished": 2})


async def test_an_error_at_once_is_raised_and_the_call_is_not_finished_with_it_too(device):
    device.trouble = ModelStoppedError("stopped")
    call = Asked(request_of(deadline_s=device.time.now_s + HOUR_S)).call
    with pytest.raises(ModelStoppedError):
        device.holding.keep(ask_of(), call, go_on=device.go_on)

    assert (call.is_finished, call.abandoned) == (False, None)
    assert device.said() == (0, 0, {"refused": 1})


async def test_each_is_finished_at_its_deadline(device):
    early, late = device.ask(within_s=60.0), device.ask(within_s=90.0)
    await device.time.pass_s(60.0)

    assert (early.error.code, late.is_finished) == ("deadline-exceeded", False)
    assert device.said() == (1, 0, {"deadline": 1})


async def test_the_deadline_of_what_waits_for_others_to_end_is_kept_too(device):
    device.rules["at_once"] = 1
    device.trouble = None
    device.ask()
    asked = device.ask(within_s=60.0)
    await device.time.pass_s(60.0)

    assert asked.error.code == "deadline-exceeded"


async def test_once_it_goes_on_it_has_the_time_of_any_request_but_no_more_than_its_own(device):
    device.ask(within_s=HOUR_S)
    device.ask(within_s=10.0)
    await device.cool_down()

    deadlines = [call.request.deadline_s - device.time.now_s for call in device.under_way]
    assert deadlines == [RUN_S, 10.0]


async def test_who_leaves_while_it_is_kept_is_forgotten(device):
    asked = [device.ask(data) for data in (b"1", b"2")]
    asked[0].call.abandon()
    assert asked[0].is_finished

    await device.cool_down()
    assert device.running == b"2"
    assert device.said() == (0, 1, {"abandoned": 1})


async def test_who_leaves_while_it_runs_has_the_run_stopped_and_is_finished_by_it(device):
    device.trouble = None
    asked = device.ask()
    asked.call.abandon()
    (call,) = device.abandoned
    assert not asked.is_finished

    # As the queue says it; whoever stays would be kept again.
    call.finish(UnavailableError("its caller left"))
    assert asked.is_finished
    assert device.said() == (0, 0, {"abandoned": 1})


@pytest.mark.parametrize(
    ("rules", "most", "limit"),
    [
        ({"max_kept": 2}, 2, "background.max_kept"),
        ({"max_kept": 0}, 0, "background.max_kept"),
        ({"max_bytes": 300}, 3, "background.max_bytes"),
        ({"max_bytes": 299}, 2, "background.max_bytes"),
        ({"max_kept_per_caller": 2}, 2, "background.max_kept_per_caller"),
        ({"max_bytes_per_caller": 300}, 3, "background.max_bytes_per_caller"),
        ({"max_bytes_per_caller": 299}, 2, "background.max_bytes_per_caller"),
    ],
)
async def test_too_much_is_refused_and_nothing_gives_way_to_it(device, rules, most, limit):
    device.rules |= rules
    kept = []
    with pytest.raises(UnavailableError, match="too much is kept") as caught:
        kept.extend(device.ask(size=100) for _ in range(10))

    assert (caught.value.facts["limit"], caught.value.retry_after_s) == (limit, FULL_RETRY_S)
    assert not any(one.is_finished for one in kept)
    assert (device.said()[0], device.said()[2]) == (most, {"refused": 1})


async def test_the_bounds_of_one_user_leave_room_for_the_others(device):
    device.rules["max_kept_per_caller"] = 1
    device.ask(uid=1000)
    device.ask(uid=1001)

    assert device.said()[0] == 2


async def test_what_goes_on_or_is_over_makes_room(device):
    device.rules |= {"max_kept": 1, "max_bytes": 100, "max_kept_per_caller": 1, "max_bytes_per_caller": 100}
    device.ask(b"1", size=100)
    await device.cool_down()
    device.trouble = HOT
    device.ask(b"2", size=100).call.abandon()
    device.ask(b"3", size=100, within_s=10.0)
    await device.time.pass_s(10.0)
    device.ask(b"4", size=100)

    assert device.said() == (1, 1, {"abandoned": 1, "deadline": 1})


async def test_where_nothing_is_to_be_kept_what_may_run_runs(device):
    device.rules["max_kept"] = 0
    device.trouble = None
    device.ask(b"7")

    assert device.running == b"7"


async def test_when_the_daemon_stops_what_is_kept_is_refused_and_what_runs_ends_as_it_does(device):
    device.rules["at_once"] = 1
    device.trouble = None
    running, kept = device.ask(b"1"), device.ask(b"2")
    device.holding.close()
    assert (kept.error.code, kept.error.retry_after_s) == ("unavailable", 5)
    assert device.said() == (0, 1, {"refused": 1})

    await device.answer()
    assert running.answer == b"1"
    device.trouble = HOT
    with pytest.raises(UnavailableError):
        device.ask()


async def test_it_is_said_how_long_the_oldest_has_been_kept_and_how_much_it_is(device):
    device.ask(b"123")
    await device.time.pass_s(40.0)
    device.ask(b"4")
    work = device.holding.work()["echo"]

    assert (work.kept, work.size_bytes, work.longest_s) == (2, 4, 40.0)


async def test_the_variant_that_took_it_over_is_told(device):
    device.trouble = None
    asked = device.ask()
    (call,) = device.under_way
    call.instead = "echo-int8"
    call.finish(InferResult(outputs=(), run_s=0.0))

    assert asked.call.instead == "echo-int8"
