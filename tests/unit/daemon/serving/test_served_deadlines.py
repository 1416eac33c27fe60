"""Requests that end before their run does, or without one: their deadline comes, or their caller leaves."""

import asyncio

from edged.errors import DeadlineError, UnavailableError
from tests.fakes.served_workers import settle


class Memory:
    """A segment that counts its owners."""

    def __init__(self) -> None:
        self.owners = 1

    def hold(self) -> None:
        self.owners += 1

    def release(self) -> None:
        assert self.owners
        self.owners -= 1


async def test_deadline_that_passes_in_the_queue_ends_the_request_without_a_run(bench):
    bench.ask(b"a")
    hurried = bench.ask(b"b", within_s=5.0)
    await bench.time.pass_s(4.9)
    assert not hurried.is_finished
    await bench.time.pass_s(0.1)

    assert isinstance(hurried.error, DeadlineError)
    bench.worker.answer_all()
    assert bench.worker.asked == [b"a"]


async def test_deadline_that_passes_while_running_is_answered_at_once_and_stops_the_run(bench):
    hurried, waiting = bench.ask(b"a", within_s=5.0), bench.ask(b"b")
    await bench.time.pass_s(5.0)

    assert isinstance(hurried.error, DeadlineError)
    assert bench.worker.stopped == [bench.worker.runs[0]]
    assert bench.worker.asked == [b"a"], "the run is taken until it has really ended"
    bench.worker.runs[0].fail(DeadlineError("stopped"))
    bench.worker.runs[1].answer()
    assert len(hurried.outcomes) == 1
    assert waiting.answer == b"b"


async def test_request_that_comes_after_its_deadline_is_not_finished_before_submit_returns(bench):
    """Whoever submits need not be ready for an answer before that."""
    late = bench.ask(within_s=-1.0)

    assert not late.is_finished
    await settle()
    assert isinstance(late.error, DeadlineError)
    assert not bench.worker.runs


async def test_one_timer_is_enough_for_any_number_of_deadlines(bench, monkeypatch):
    loop = asyncio.get_running_loop()
    timers = []
    call_at = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda *args, **options: timers.append(args[0]) or call_at(*args, **options))
    for i in range(50):
        bench.ask(within_s=30.0 + i)
        bench.worker.answer_all()

    assert len(timers) == 1


async def test_each_deadline_is_kept_whatever_the_order_in_which_they_come(make_bench):
    bench = await make_bench(parallel=2)
    asked = {within_s: bench.ask(within_s=within_s) for within_s in (20.0, 5.0, 10.0, 1.0)}
    finished = []
    for _ in range(20):
        await bench.time.pass_s(1.0)
        finished.append([within_s for within_s, one in asked.items() if one.is_finished])

    assert [finished[i] for i in (0, 4, 9, 19)] == [[1.0], [5.0, 1.0], [5.0, 10.0, 1.0], [20.0, 5.0, 10.0, 1.0]]


async def test_deadline_of_a_step_lets_the_next_step_run(bench):
    bench.ask(b"0")
    bench.ask(b"a", sequence=1, within_s=5.0)
    second = bench.ask(b"b", sequence=1)
    await bench.time.pass_s(5.0)
    bench.worker.answer_all()

    assert second.answer == b"b"


async def test_request_whose_caller_leaves_the_queue_does_not_run(bench):
    bench.ask(b"a")
    gone = bench.ask(b"b")
    gone.call.abandon()
    bench.worker.answer_all()

    assert isinstance(gone.error, UnavailableError)
    assert bench.worker.asked == [b"a"]
    assert bench.served.stats.requests == {"ok": 1, "abandoned": 1}


async def test_run_whose_caller_leaves_is_stopped_and_keeps_its_place_until_it_has_ended(bench):
    gone, waiting = bench.ask(b"a"), bench.ask(b"b")
    gone.call.abandon()

    assert bench.worker.stopped == [bench.worker.runs[0]]
    assert bench.worker.asked == [b"a"]
    bench.worker.answer_all()
    assert waiting.answer == b"b"


async def test_caller_that_leaves_when_it_has_its_answer_changes_nothing(bench):
    asked = bench.ask()
    bench.worker.answer_all()
    asked.call.abandon()

    assert bench.worker.stopped == []
    assert bench.served.stats.requests == {"ok": 1}


async def test_caller_that_leaves_because_another_was_told_is_let_go_in_peace(make_bench):
    """Both deadlines come at once, and the answer to one closes the connection of both."""
    bench = await make_bench(parallel=1)
    bench.ask()
    first, second = bench.ask(within_s=5.0), bench.ask(within_s=5.0)
    for one, other in ((first, second), (second, first)):
        one.call._done = lambda _outcome, other=other: other.call.abandon()
    await bench.time.pass_s(5.0)

    assert first.is_finished
    assert second.is_finished
    assert bench.served.queued == 0


async def test_memory_is_kept_until_the_run_has_ended_although_its_caller_is_gone(bench):
    """The next request's body must not be written where the worker still reads."""
    memory = Memory()
    gone = bench.ask(memory=memory)
    gone.call.abandon()
    memory.release()

    assert memory.owners == 1
    bench.worker.answer_all()
    assert memory.owners == 0


async def test_memory_of_a_request_that_never_ran_is_not_kept(bench):
    memory = Memory()
    bench.ask()
    bench.ask(memory=memory).call.abandon()

    assert memory.owners == 1


async def test_memory_of_a_request_that_is_answered_is_its_callers(bench):
    memory = Memory()
    bench.ask(memory=memory)
    bench.worker.answer_all()

    assert memory.owners == 1
