"""Workers that end: who gets an error, who waits for the next one, and what becomes of a request that ends one after the other."""

import logging

import pytest

from edged import journal
from edged.daemon.serving.poison import digest_of
from edged.errors import (
    BackendError,
    DeadlineError,
    EdgedError,
    ModelLoadError,
    PoisonError,
    TensorError,
    UnavailableError,
    WorkerLostError,
)
from tests.fakes.served_workers import REST_S, settle

PAUSE_S = 5.0
"""The second loss in a row is made good after one second, the third after five."""


async def lose(bench, error: EdgedError | None = None) -> None:
    """End the worker, and wait for the next."""
    bench.worker.die(error)
    await settle()
    await bench.time.pass_s(PAUSE_S)


async def warm(bench) -> None:
    """Let the model run once, so that it is known how long it takes."""
    bench.ask(b"0")
    await bench.time.pass_s(0.001)
    bench.worker.answer_all()


async def test_a_request_that_was_alone_in_its_worker_ends_with_it_and_the_next_one_answers_what_waits(make_bench):
    bench = await make_bench(parallel=1)
    lost, waiting = bench.ask(b"a"), bench.ask(b"b")
    bench.worker.die()
    await settle()

    assert isinstance(lost.error, WorkerLostError)
    assert bench.worker.pid == 2
    bench.worker.answer_all()
    assert waiting.answer == b"b"
    assert (bench.served.restarts, bench.served.stats.restarts, bench.served.demand.failures) == (1, 1, 1)


async def test_of_several_in_a_lost_worker_each_has_another_try_by_itself(make_bench):
    """One of them ended it; the others are not to pay for that."""
    bench = await make_bench(parallel=2)
    asked = [bench.ask(data) for data in (b"a", b"b", b"c")]
    bench.worker.die()
    await settle()

    assert bench.worker.asked == [b"a"], "nothing runs beside a suspect"
    bench.worker.answer_all()
    assert [one.answer for one in asked] == [b"a", b"b", b"c"]
    assert (bench.served.restarts, bench.served.demand.failures) == (1, 0)


async def test_the_one_that_ends_its_second_worker_is_lost_alone(make_bench):
    bench = await make_bench(parallel=3)
    innocent, killer, other = (bench.ask(data) for data in (b"a", b"k", b"b"))
    await lose(bench)
    bench.worker.under_way[0].answer()
    assert innocent.answer == b"a"
    await lose(bench)
    bench.worker.answer_all()

    assert isinstance(killer.error, WorkerLostError)
    assert other.answer == b"b"
    with pytest.raises(PoisonError):
        bench.ask(b"k")


async def test_a_step_of_a_sequence_is_not_tried_again(make_bench):
    """What the steps before it left behind is gone with the worker."""
    bench = await make_bench(parallel=2)
    step, other = bench.ask(b"a", sequence=1), bench.ask(b"b")
    bench.worker.die()
    await settle()
    bench.worker.answer_all()

    assert isinstance(step.error, WorkerLostError)
    assert other.answer == b"b"


async def test_what_waits_for_the_next_worker_has_its_deadline_all_the_same(bench):
    await lose(bench)
    bench.worker.die()
    await settle()
    assert bench.served.worker is None
    waiting = bench.ask(within_s=0.5)
    await bench.time.pass_s(0.5)

    assert isinstance(waiting.error, DeadlineError)


async def test_sequence_goes_on_with_the_next_worker(bench):
    """That worker will say that it does not know it; here it only has to get there."""
    bench.ask(b"a", sequence=1)
    second = bench.ask(b"b", sequence=1)
    bench.worker.die()
    await settle()
    bench.worker.answer_all()

    assert second.answer == b"b"


async def test_worker_that_cannot_be_started_is_no_reason_to_keep_anybody_waiting(bench):
    bench.starter.troubles.append(ModelLoadError("out of memory"))
    bench.ask()
    waiting = bench.ask()
    bench.worker.die()
    await settle()

    assert isinstance(waiting.error, UnavailableError)
    assert "out of memory" in waiting.error.message
    with pytest.raises(UnavailableError, match="out of memory"):
        bench.ask()
    assert bench.served.stats.rejections == {"no-worker": 1}
    await bench.time.pass_s(1.0)
    asked = bench.ask(b"a")
    bench.worker.answer_all()
    assert asked.answer == b"a"


async def test_request_that_ends_two_workers_is_refused_and_the_operator_is_told(bench, caplog):
    caplog.set_level(logging.INFO)
    killer = bench.ask(b"k").call.request
    await lose(bench)
    bench.ask(b"k")
    await lose(bench)

    with pytest.raises(PoisonError) as caught:
        bench.ask(b"k")
    digest = digest_of(killer)[:16]
    assert caught.value.facts == {"digest": digest, "rest_s": REST_S - PAUSE_S}
    assert bench.served.stats.rejections == {"poison": 1}
    (record,) = [r for r in caplog.records if r.getMessage() == journal.REQUEST_REFUSED.text]
    assert record.edged_fields == {"model": "echo", "version": "1.0.0", "digest": digest}


async def test_other_requests_are_served_while_one_is_refused(bench):
    for _ in range(2):
        bench.ask(b"k")
        await lose(bench)
    other = bench.ask(b"o")
    bench.worker.answer_all()

    assert other.answer == b"o"


async def test_refused_request_may_try_again_when_it_has_rested(bench):
    for _ in range(2):
        bench.ask(b"k")
        await lose(bench)
    await bench.time.pass_s(REST_S)

    asked = bench.ask(b"k")
    bench.worker.answer_all()
    assert asked.answer == b"k"


async def test_suspect_runs_alone(make_bench):
    """Neither beside a run that is under way, nor is anything begun beside it."""
    bench = await make_bench(parallel=3)
    bench.ask(b"k")
    await lose(bench)
    bench.ask(b"a")
    bench.ask(b"k")
    bench.ask(b"b")

    assert bench.worker.asked == [b"a"]
    bench.worker.runs[0].answer()
    assert bench.worker.asked == [b"a", b"k"]
    bench.worker.runs[1].answer()
    assert bench.worker.asked == [b"a", b"k", b"b"]


async def test_suspect_shares_no_run(make_bench):
    bench = await make_bench(max_rows=8)
    await warm(bench)
    bench.ask(b"k")
    await lose(bench)
    for data in (b"a", b"b", b"k", b"c", b"d"):
        bench.ask(data)
    bench.worker.answer_all()

    assert bench.worker.asked == [b"a", b"bcd", b"k"]


async def test_suspect_that_waited_already_when_its_twin_ended_the_worker_shares_no_run_either(make_bench):
    bench = await make_bench(max_rows=8, parallel=1)
    await warm(bench)
    bench.ask(b"k")
    for data in (b"a", b"k", b"b"):
        bench.ask(data)
    bench.worker.die()
    await settle()
    bench.worker.answer_all()

    assert bench.worker.asked == [b"ab", b"k"]


async def test_twin_that_waits_while_the_second_worker_ends_is_refused_in_its_turn(bench):
    bench.ask(b"k")
    await lose(bench)
    bench.ask(b"k")
    twin = bench.ask(b"k")
    await lose(bench)

    assert isinstance(twin.error, PoisonError)
    assert bench.worker.asked == []


async def test_two_equal_requests_in_one_worker_are_blamed_once(make_bench):
    """One end of a worker is no evidence against the second of two, and two of one request are no two ends."""
    bench = await make_bench(parallel=2)
    bench.ask(b"k")
    bench.ask(b"k")
    await lose(bench)

    again = bench.ask(b"k")
    bench.worker.answer_all()
    assert again.answer == b"k"


async def test_neighbours_of_a_killer_are_cleared_when_they_are_answered(make_bench):
    bench = await make_bench(parallel=3)
    for data in (b"a", b"k", b"b"):
        bench.ask(data)
    await lose(bench)
    bench.worker.under_way[0].answer()
    await lose(bench)
    bench.worker.answer_all()

    for data in (b"a", b"b", b"a"):
        bench.ask(data)
    assert bench.worker.asked[-3:] == [b"a", b"b", b"a"], "nobody is suspected any more, so they run beside each other"


async def test_suspect_that_gets_an_error_is_not_cleared_by_it(make_bench):
    """It was refused before it got to where the worker ended."""
    bench = await make_bench(parallel=2)
    bench.ask(b"k")
    await lose(bench)
    bench.ask(b"k")
    bench.worker.runs[0].fail(TensorError("not just now"))
    bench.ask(b"k")
    bench.ask(b"a")

    assert bench.worker.asked == [b"k", b"k"]


async def test_worker_that_had_to_be_killed_after_a_deadline_is_held_against_the_request(bench):
    """Its caller has its answer, and its memory is another's by then, were it not kept."""
    for _ in range(2):
        bench.ask(b"k", within_s=5.0)
        await bench.time.pass_s(5.0)
        assert bench.worker.stopped
        await lose(bench)

    with pytest.raises(PoisonError):
        bench.ask(b"k")


async def test_end_of_the_template_is_held_against_nobody(bench):
    for _ in range(2):
        bench.ask(b"k")
        await lose(bench, BackendError("the runtime's process ended"))

    asked = bench.ask(b"k")
    bench.worker.answer_all()
    assert asked.answer == b"k"
    assert not bench.served._poison


async def test_end_that_we_ask_for_is_held_against_nobody(bench):
    bench.ask(b"k")
    await bench.served.close()

    assert not bench.served._poison


async def test_suspect_is_not_overtaken_for_ever(make_bench):
    """The worker is emptied for it while more urgent requests keep coming."""
    bench = await make_bench(parallel=2)
    bench.ask(b"k")
    await lose(bench)
    suspect = bench.ask(b"k", priority=9)
    for _ in range(100):
        if suspect.is_finished:
            break
        bench.ask(b"a", priority=1)
        bench.ask(b"a", priority=1)
        bench.worker.under_way[0].answer()

    assert suspect.answer == b"k"
