"""A model that is asked for more than it can answer."""

import asyncio
from contextlib import suppress

import pytest

from edged.daemon.serving.crowd import BURST_S
from edged.errors import UnavailableError
from tests.fakes.served_workers import settle


def ask_until_refused(bench, **options):
    """Ask as long as that is taken; returns what was."""
    asked = []
    with suppress(UnavailableError):
        while True:
            asked.append(bench.ask(**options))
    return asked


async def test_after_a_burst_that_was_too_long_everybody_in_it_is_answered(make_bench):
    bench = await make_bench(parallel=2, max_queued=16)
    asked = ask_until_refused(bench)
    bench.worker.answer_all()

    assert len(asked) == 2 + 12
    assert all(each.answer for each in asked)
    assert bench.served.stats.rejections == {"queue-full": 1}


async def test_a_crowd_that_lasts_waits_no_longer_than_one_run(make_bench):
    """What came first to fill the queue is refused when the crowd does not end; from then on one waits at a time."""
    bench = await make_bench(parallel=2, max_queued=16)
    asked = ask_until_refused(bench)
    await bench.time.pass_s(1.1 * BURST_S)
    assert ask_until_refused(bench) == []
    bench.worker.runs[0].answer()
    assert (bench.served.running, bench.served.queued) == (1, 0)

    late = ask_until_refused(bench)
    assert len(late) == 2
    bench.worker.answer_all()
    assert [each.answer for each in (*asked[:2], *late)] == [b"0"] * 4
    assert all(isinstance(each.error, UnavailableError) for each in asked[2:])


async def test_other_callers_find_their_places_beside_a_crowd(make_bench):
    bench = await make_bench(max_queued=16)
    ask_until_refused(bench, uid=1)
    polite = bench.ask(uid=2)
    bench.worker.answer_all()

    assert polite.answer


async def test_the_daemons_own_checks_go_through_beside_a_crowd(make_bench):
    bench = await make_bench(max_queued=4)
    ask_until_refused(bench, uid=0)
    inputs = bench.worker.runs[0].requests[0].inputs
    checking = asyncio.ensure_future(bench.served.infer(inputs, timeout_s=5.0))
    await settle()
    bench.worker.answer_all()

    assert (await checking).outputs


async def test_a_request_that_could_only_be_late_is_refused_before_it_waits(make_bench):
    bench = await make_bench()
    bench.ask()
    await bench.time.pass_s(1.0)
    bench.worker.answer_all()
    bench.ask()

    with pytest.raises(UnavailableError, match="before its deadline"):
        bench.ask(within_s=1.9)
    in_time = bench.ask(within_s=2.1)
    bench.worker.answer_all()
    assert in_time.answer


async def test_a_deadline_shorter_than_any_run_is_tried_where_nobody_waits(make_bench):
    """How long a run takes is only learned from runs."""
    bench = await make_bench()
    bench.ask()
    await bench.time.pass_s(1.0)
    bench.worker.answer_all()

    asked = bench.ask(within_s=0.5)
    bench.worker.answer_all()
    assert asked.answer


async def test_in_a_crowd_as_few_wait_for_a_model_whose_runs_are_shared(make_bench):
    """Otherwise everybody would be answered after long runs, and no more of them: a row costs what it costs."""
    bench = await make_bench(parallel=2, max_queued=16, max_rows=8)
    ask_until_refused(bench)
    bench.worker.answer_all()

    assert len(ask_until_refused(bench)) == 2 + 1
