"""Requests that share a run: only what waits, only where it puts nobody at risk, and each gets its own answer."""

from edged.errors import TensorError


async def warm_bench(make_bench, **options):
    """One whose model has run before, so that it is known how long a run takes."""
    bench = await make_bench(**options)
    bench.ask()
    await bench.time.pass_s(0.010)
    bench.worker.answer_all()
    bench.worker.runs.clear()
    return bench


async def test_requests_that_wait_share_a_run_and_each_gets_its_own_answer(make_bench):
    bench = await warm_bench(make_bench, max_rows=8)
    asked = [bench.ask(data) for data in (b"a", b"b", b"cd", b"e")]
    bench.worker.answer_all()

    assert bench.worker.asked == [b"a", b"bcde"]
    assert [one.answer for one in asked] == [b"a", b"b", b"cd", b"e"]
    assert {rows: tally.count for rows, tally in bench.served.stats.batches.items()} == {1: 2, 4: 1}


async def test_batch_has_no_more_rows_than_the_publisher_says(make_bench):
    bench = await warm_bench(make_bench, max_rows=2)
    for data in (b"a", b"b", b"c", b"d"):
        bench.ask(data)
    bench.worker.answer_all()

    assert bench.worker.asked == [b"a", b"bc", b"d"]


async def test_model_without_batching_runs_one_request_at_a_time(bench):
    for data in (b"a", b"b", b"c"):
        bench.ask(data)
        await bench.time.pass_s(0.010)
    bench.worker.answer_all()

    assert bench.worker.asked == [b"a", b"b", b"c"]


async def test_batch_that_would_make_one_late_is_not_made(make_bench):
    bench = await warm_bench(make_bench, max_rows=8)
    bench.ask(b"a")
    bench.ask(b"b", within_s=0.025)
    bench.ask(b"c")
    await bench.time.pass_s(0.010)
    bench.worker.answer_all()

    assert bench.worker.asked == [b"a", b"b", b"c"]


async def test_shared_run_goes_on_for_those_who_still_wait_and_is_stopped_with_the_last(make_bench):
    bench = await warm_bench(make_bench, max_rows=8)
    bench.ask(b"a")
    leaves = bench.ask(b"b")
    bench.ask(b"c", within_s=5.0)
    bench.worker.runs[0].answer()
    assert bench.worker.asked == [b"a", b"bc"]

    leaves.call.abandon()
    assert bench.worker.stopped == []
    await bench.time.pass_s(5.0)
    assert bench.worker.stopped == [bench.worker.runs[1]]


async def test_failed_run_teaches_nothing_about_how_long_runs_take(make_bench):
    bench = await make_bench(max_rows=8)
    bench.ask(b"a")
    bench.worker.runs[0].fail(TensorError("no"))
    for data in (b"b", b"c", b"d"):
        bench.ask(data)
    bench.worker.runs[1].fail(TensorError("no"))

    assert bench.worker.asked == [b"a", b"b", b"c"]
