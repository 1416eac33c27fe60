"""A model's requests from their arrival to their end: taken in turn, run as many at once as there is room for, finished once."""

import asyncio
import gc

import pytest

from edged.errors import DeadlineError, TensorError, UnavailableError
from edged.runtime.calls import Features
from tests.fakes.requests import BACKGROUND, INTERACTIVE, rows_of
from tests.fakes.served_workers import settle


async def test_request_is_begun_before_submit_returns_and_answered_with_what_the_worker_says(bench):
    asked = bench.ask(b"a")

    assert bench.worker.asked == [b"a"]
    bench.worker.runs[0].answer()
    assert asked.answer == b"a"


@pytest.mark.parametrize("is_ours", [True, False])
async def test_worker_gets_features_of_its_own_bundle_only(bench, is_ours):
    """A request may come here long after they were looked for, when another version answers."""
    loadable = bench.served.loadable
    features = Features(
        digest=loadable.bundle.digest if is_ours else "another",
        takes=loadable.variant.inputs,
        gives=loadable.variant.outputs,
        scale=1.0,
        most_bytes=1 << 30,
        tensors=(rows_of(b"f"),),
    )
    bench.ask(b"a", features=features)

    (sent,) = bench.worker.runs[0].requests[0].sent
    assert sent.data == (b"f" if is_ours else b"a")


async def test_no_more_runs_are_under_way_than_the_worker_takes(make_bench):
    bench = await make_bench(parallel=3)
    for data in (b"a", b"b", b"c", b"d"):
        bench.ask(data)

    assert bench.worker.asked == [b"a", b"b", b"c"]
    assert (bench.served.running, bench.served.queued) == (3, 1)
    bench.worker.runs[1].answer()
    assert bench.worker.asked == [b"a", b"b", b"c", b"d"]


async def test_interactive_requests_go_before_background_ones_that_came_earlier(bench):
    bench.ask(b"0")
    for data, request_class in ((b"b", BACKGROUND), (b"i", INTERACTIVE), (b"c", BACKGROUND), (b"j", INTERACTIVE)):
        bench.ask(data, request_class=request_class)
    bench.worker.answer_all()

    assert bench.worker.asked == [b"0", b"i", b"j", b"b", b"c"]


async def test_worker_is_told_who_is_more_urgent(make_bench):
    bench = await make_bench(parallel=2)
    bench.ask(priority=1)
    bench.ask(request_class=BACKGROUND)

    first, second = bench.worker.runs
    assert first.rank < second.rank


async def test_steps_of_a_sequence_never_run_at_once(make_bench):
    bench = await make_bench(parallel=2)
    steps = [bench.ask(data, sequence=1) for data in (b"a", b"b")]
    bench.ask(b"c")

    assert bench.worker.asked == [b"a", b"c"]
    bench.worker.runs[0].answer()
    assert bench.worker.asked == [b"a", b"c", b"b"]
    bench.worker.answer_all()
    assert [step.answer for step in steps] == [b"a", b"b"]


async def test_error_of_the_worker_is_the_callers_answer_and_the_next_one_goes(bench):
    refused, answered = bench.ask(b"a"), bench.ask(b"b")
    bench.worker.runs[0].fail(TensorError("not like that"))
    bench.worker.runs[1].answer()

    assert isinstance(refused.error, TensorError)
    assert answered.answer == b"b"


async def test_next_run_begins_before_the_callers_of_the_last_one_are_told(bench):
    """A worker should not wait while answers are written."""
    first = bench.ask(b"a")
    bench.ask(b"b")
    begun = []
    first.call._done = lambda _outcome: begun.extend(bench.worker.asked)
    bench.worker.runs[0].answer()

    assert begun == [b"a", b"b"]


async def test_caller_whose_answer_cannot_be_handed_over_harms_nobody_else(make_bench, caplog):
    bench = await make_bench(parallel=2)
    first, second = bench.ask(b"a"), bench.ask(b"b")

    def broken(_outcome):
        raise ZeroDivisionError

    first.call._done = broken
    bench.worker.answer_all()

    assert second.answer == b"b"
    assert "could not be handed over" in caplog.text
    await bench.served.drain(timeout_s=1.0)


async def test_full_queue_refuses_and_counts_it(make_bench):
    bench = await make_bench(max_queued=2)
    for _ in range(3):
        bench.ask()

    with pytest.raises(UnavailableError, match="2 requests of this user are waiting"):
        bench.ask()

    assert bench.served.stats.rejections == {"queue-full": 1}
    assert bench.served.demand.requests == 3


async def test_reload_changes_how_many_may_wait(make_bench):
    bench = await make_bench(max_queued=1)
    bench.ask()
    bench.ask()
    with pytest.raises(UnavailableError):
        bench.ask()
    bench.limits["max_queued"] = 2
    await bench.time.pass_s(1.0)

    bench.ask()

    assert bench.served.queued == 2


async def test_background_request_in_a_full_queue_gives_way_to_an_interactive_one_and_is_told(make_bench):
    bench = await make_bench(max_queued=1)
    bench.ask(b"0")
    background = bench.ask(b"b", request_class=BACKGROUND)
    interactive = bench.ask(b"i")

    assert isinstance(background.error, UnavailableError)
    assert background.error.facts["limit"] == "serve.max_queued"
    bench.worker.answer_all()
    assert interactive.answer == b"i"
    assert bench.worker.asked == [b"0", b"i"]


async def test_every_request_is_counted_once_by_how_it_ended(make_bench):
    bench = await make_bench(parallel=2)
    bench.ask(b"a"), bench.ask(b"b"), bench.ask(b"c", within_s=5.0)
    await bench.time.pass_s(5.0)
    bench.worker.runs[0].answer()
    bench.worker.runs[1].fail(TensorError("no"))

    stats = bench.served.stats
    assert stats.requests == {"ok": 1, "tensor-invalid": 1, "deadline-exceeded": 1}
    assert stats.queue_duration_s.count == 2
    assert stats.request_duration_s.sum == pytest.approx(15.0)
    assert (bench.served.demand.requests, bench.served.demand.failures) == (3, 1)


async def test_drain_returns_with_the_last_answer(bench):
    asked = [bench.ask(), bench.ask()]
    drained = asyncio.create_task(bench.served.drain(timeout_s=60.0))
    await settle()
    assert not drained.done()
    bench.worker.runs[0].answer()
    await settle()
    assert not drained.done()
    bench.worker.runs[1].answer()

    await drained
    assert all(one.is_finished for one in asked)


async def test_drain_waits_for_a_run_that_nobody_waits_for(bench):
    """Its memory and its worker are still in use."""
    bench.ask().call.abandon()
    drained = asyncio.create_task(bench.served.drain(timeout_s=60.0))
    await settle()
    assert not drained.done()
    bench.worker.answer_all()

    await drained


async def test_drain_gives_up_after_its_time(bench, caplog):
    bench.ask()
    bench.ask()
    drained = asyncio.create_task(bench.served.drain(timeout_s=5.0))
    await settle()
    await bench.time.pass_s(5.0)

    await drained
    assert "2 requests were still under way" in caplog.text


async def test_closing_ends_what_waits_and_what_runs_and_takes_nothing_more(bench):
    running, waiting = bench.ask(), bench.ask()

    await bench.served.close()

    assert isinstance(waiting.error, UnavailableError)
    assert running.is_finished
    assert bench.worker.is_closed
    with pytest.raises(UnavailableError):
        bench.ask()


async def test_infer_gives_the_answer_or_raises_the_error(bench):
    tensor = bench.ask().call.request.inputs[0]
    bench.worker.answer_all()
    answered = asyncio.create_task(bench.served.infer([tensor], timeout_s=5.0))
    refused = asyncio.create_task(bench.served.infer([tensor], timeout_s=5.0))
    await settle()
    bench.worker.runs[1].answer()
    assert (await answered).outputs == [tensor]
    await bench.time.pass_s(5.0)
    with pytest.raises(DeadlineError):
        await refused


async def test_infer_that_is_cancelled_stops_its_run(bench):
    asking = asyncio.create_task(bench.served.infer((), timeout_s=5.0))
    await settle()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert bench.worker.stopped == bench.worker.runs


async def test_answered_request_leaves_nothing_for_the_garbage_collector(bench):
    """At thousands of requests a second, its rounds over everything would be felt."""
    bench.ask()
    gc.collect()
    gc.disable()
    try:
        bench.ask()
        bench.worker.answer_all()
        bench.worker.runs.clear()
        assert gc.collect() == 0
    finally:
        gc.enable()
