"""Runs that are stopped, and the many ways in which a worker ends: every run ends exactly once."""

import asyncio

import pytest

from edged.errors import (
    BackendError,
    DeadlineError,
    WorkerLostError,
)
from edged.runtime.tensors import InferResult
from edged.runtime.wire import (
    INLINE_BYTES,
    Failed,
    Ran,
    Stop,
)
from tests.fakes.far_ends import answer
from tests.fakes.handle_runs import MB, SPEC, floats, request, turn_loop


async def test_a_run_that_is_stopped_may_still_answer_and_costs_nothing(worker, far, endings):
    run = worker.run([request()], endings.of("it"))
    far.receive()
    worker.stop(run)
    worker.stop(run)
    assert far.told() == Stop(run=run)
    far.say(Ran(run=run, answers=(Failed(code="deadline-exceeded", message="stopped"),)))
    (outcome,) = (await endings.wait())["it"]
    worker.stop(run)

    assert isinstance(outcome, DeadlineError)
    assert worker.is_usable
    far.control.settimeout(0)
    with pytest.raises(BlockingIOError):
        far.told()  # told once, and not about what has ended


async def test_a_worker_that_goes_on_after_a_stop_is_ended(far, memory, endings):
    worker = far.handle(SPEC, memory, stop_within_s=0.0)
    run = worker.run([request()], endings.of("it"))
    worker.stop(run)
    await far.death()
    await far.report()

    (outcome,) = (await endings.wait())["it"]
    assert isinstance(outcome, WorkerLostError)
    assert "told to stop" in str(outcome)
    assert outcome.facts == {"signal": 9}


async def test_a_run_that_ends_in_time_ends_the_wait_for_it(far, memory, endings):
    """The worker must not be killed by the stop of a run that is long over."""
    worker = far.handle(SPEC, memory, stop_within_s=3600.0)
    run = worker.run([request()], endings.of("it"))
    worker.stop(run)
    timer = worker._runs._runs[run].too_late
    far.say(answer(run, floats(1)), [floats(1)])
    await endings.wait()

    assert timer.cancelled()


@pytest.mark.parametrize(("status", "facts"), [(-11, {"signal": 11}), (0, {"exit_status": 0}), (3, {"exit_status": 3})])
async def test_the_end_of_a_worker_ends_its_runs_and_says_how(worker, far, endings, status, facts):
    worker.run([request()], endings.of("one"))
    worker.run([request(), request()], endings.of("two"))
    await far.report(status)
    outcomes = await endings.wait(2)

    assert worker.lost.is_set()
    assert not worker.is_usable
    assert not worker.ended_with_template
    for outcome in (*outcomes["one"], *outcomes["two"]):
        assert isinstance(outcome, WorkerLostError)
        assert outcome.facts == facts
    assert len({id(outcome) for outcome in (*outcomes["one"], *outcomes["two"])}) == 3, "each raises its own"


async def test_answers_given_before_the_end_are_delivered_first(worker, far, endings):
    """Also when the worker left runs unread, of which the kernel speaks first."""
    answered, unread = (worker.run([request()], endings.of(name)) for name in ("answered", "unread"))
    far.receive()
    far.say(answer(answered, floats(1)), [floats(1)])
    worker.kill()
    await far.report()
    outcomes = await endings.wait(2)

    assert unread != answered
    assert isinstance(outcomes["answered"][0], InferResult)
    assert isinstance(outcomes["unread"][0], WorkerLostError)


async def test_nothing_is_believed_once_a_worker_broke_the_protocol(worker, far, endings):
    first, second = (worker.run([request()], endings.of(name)) for name in ("first", "second"))
    far.say(answer(99, floats(1)), [floats(1)])
    for run in (first, second):
        far.say(answer(run, floats(1)), [floats(1)])
    await far.death()
    await far.report()

    assert all(isinstance(outcome[0], WorkerLostError) for outcome in (await endings.wait(2)).values())


async def test_memory_of_a_run_is_kept_until_the_process_is_gone(worker, far, memory, endings):
    """Killed is not gone: until the kernel says so, a thread of it may be writing."""
    run = worker.run([request(MB)], endings.of("it"))
    far.receive()
    far.say(Ran(run=run, room_bytes=(MB,)))
    await turn_loop()
    held = memory.taken_bytes
    worker.kill()
    worker.stop(run)
    await far.death()
    await turn_loop()

    assert held >= 5 * MB
    assert memory.taken_bytes == held
    assert endings.outcomes == {}
    await far.report()
    assert memory.taken_bytes == 0
    assert isinstance(endings.outcomes["it"][0], WorkerLostError)


async def test_runs_end_before_anybody_sees_that_the_worker_is_lost(worker, far, memory, endings):
    """Whoever replaces it must not meet the memory of its runs still taken."""
    seen = []

    async def watch():
        await worker.lost.wait()
        seen.append((memory.taken_bytes, len(endings.outcomes)))

    watching = asyncio.ensure_future(watch())
    worker.run([request(MB)], endings.of("it"))
    await turn_loop()
    await far.report()
    await watching

    assert seen == [(0, 1)]


async def test_one_owner_that_raises_keeps_no_other_from_its_end(worker, far, endings):
    def raising(outcomes):
        raise RuntimeError("of this run only")

    worker.run([request()], endings.of("before"))
    worker.run([request()], raising)
    worker.run([request()], endings.of("after"))
    with pytest.raises(RuntimeError, match="of this run only"):
        await far.report()

    assert set(endings.outcomes) == {"before", "after"}
    assert worker.lost.is_set()


async def test_a_run_on_a_worker_that_is_going_is_lost_soon_and_never_from_within_the_call(worker, far, endings):
    worker.kill()
    run = worker.run([request(MB), request()], endings.of("killed"))
    worker.stop(run)
    assert endings.outcomes == {}
    assert len((await endings.wait())["killed"]) == 2
    await far.report(-9)
    worker.run([request()], endings.of("gone"))
    assert "gone" not in endings.outcomes

    (outcome,) = (await endings.wait(2))["gone"]
    assert isinstance(outcome, WorkerLostError)
    assert "signal 9" in str(outcome)


async def test_an_answer_that_brings_a_new_run_gets_it_sent(worker, far, endings):
    """The next request is sent from within the end of the one before."""

    def go_on(outcomes):
        worker.run([request()], endings.of("second"))

    run = worker.run([request()], go_on)
    far.receive()
    far.say(answer(run, floats(1)), [floats(1)])
    await turn_loop()
    message, _, _ = far.receive()
    far.say(answer(message.run, floats(1)), [floats(1)])

    assert isinstance((await endings.wait())["second"][0], InferResult)


async def test_a_worker_whose_template_ended_is_no_fault_of_its_model(worker, far, endings):
    worker.run([request()], endings.of("it"))
    await far.report(None)
    (outcome,) = (await endings.wait())["it"]

    assert worker.ended_with_template
    assert type(outcome) is BackendError


async def test_a_worker_that_closes_its_channels_is_used_no_more_and_ended_if_it_lingers(
    worker, far, endings, monkeypatch
):
    monkeypatch.setattr("edged.host.worker.LINGER_S", 0.0)
    worker.run([request()], endings.of("it"))
    far.close_channels()
    await far.death()

    assert not worker.is_usable
    assert endings.outcomes == {}


async def test_a_worker_that_reads_nothing_is_ended(worker, far, endings):
    """What it does not read would pile up here."""
    run = 0
    while worker.is_usable:
        worker.run([request(INLINE_BYTES // 4)], endings.of(run))
        run += 1
        await asyncio.sleep(0)
        assert run < 2000
    await far.death()
    await far.report()

    assert len(await endings.wait(run)) == run
