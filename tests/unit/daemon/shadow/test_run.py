"""A candidate beside the active version: when it is asked, and what its answers count as."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from edged.bundle.manifest import Tolerance, Validation
from edged.daemon.serving.keeper import Loadable
from edged.daemon.shadow.run import LOOK_EVERY_S, ShadowRun
from edged.errors import BackendError, DeadlineError, SequenceError, TensorError, UnavailableError
from edged.runtime.calls import Features, SequenceStep
from edged.runtime.tensors import InferResult
from edged.telemetry.shadow import ShadowStats
from tests.fakes.requests import Asked, features_of, request_of, rows_of
from tests.fakes.served_workers import FakeWorker, loadable_of, settle

TIMEOUT_S = 30.0


class Stage:
    """A served model (``tests.fakes.served_workers.Bench``) with a candidate in its shadow."""

    def __init__(self, bench, *, tolerance=()) -> None:
        self.bench = bench
        self.worker = FakeWorker(100)
        self.stats = ShadowStats()
        self.idle_s = 1000.0
        plain = loadable_of("1.1.0")
        manifest = SimpleNamespace(**vars(plain.bundle.manifest), validation=Validation(kit="kit", tolerance=tolerance))
        self.run = ShadowRun(
            Loadable(bundle=SimpleNamespace(manifest=manifest), variant=plain.variant),
            [bench.served],
            self.worker,
            share=1.0,
            timeout_s=lambda: TIMEOUT_S,
            is_busy=lambda served: bool(served.queued or served.running),
            idle_s=lambda: self.idle_s,
            stats=self.stats,
        )

    async def ask(self, data: bytes = b"1", **options):
        """Ask the active version, which echoes."""
        request = replace(request_of(data, deadline_s=self.bench.time.now_s + TIMEOUT_S), **options)
        asked = Asked(request)
        self.bench.served.submit(asked.call)
        self.bench.worker.answer_all()
        await settle()
        return asked

    async def answer(self, data: bytes = b"1", *, run_s: float = 0.002) -> None:
        """Have the candidate answer what it was asked first."""
        await self.bench.time.pass_s(run_s)
        self.worker.under_way[0].end([InferResult(outputs=(rows_of(data),), run_s=run_s)])
        await self.bench.time.pass_s(0.0)

    async def fail(self, error) -> None:
        self.worker.under_way[0].fail(error)
        await self.bench.time.pass_s(0.001)


@pytest.fixture
async def stage(bench):
    stage = Stage(bench)
    yield stage
    await stage.run.close()


async def test_candidate_is_asked_what_the_active_version_has_answered(stage):
    asked = await stage.ask(b"7")

    assert asked.answer == b"7"
    assert stage.worker.asked == [b"7"]
    await stage.answer(b"7")
    assert (stage.run.found.requests, stage.run.found.agreed) == (1, 1)
    assert stage.stats.results == {"agreed": 1}


async def test_candidate_is_asked_from_the_inputs_also_where_it_is_known_what_the_active_version_makes_of_them(stage):
    """Its steps may make something else of them."""
    loadable = stage.bench.served.loadable
    digest, takes, gives = loadable.bundle.digest, loadable.variant.inputs, loadable.variant.outputs
    made = features_of(rows_of(b"7"))
    features = Features(digest=digest, takes=takes, gives=gives, scale=1.0, most_bytes=9, tensors=made)
    await stage.ask(b"7", features=features)

    assert stage.bench.worker.runs[0].requests[0].sent == made
    (shadowed,) = stage.worker.runs[0].requests
    assert shadowed.sent == shadowed.inputs


async def test_answer_that_differs_counts_and_its_output_is_named(stage):
    await stage.ask(b"7")
    await stage.answer(b"8")

    found = stage.run.found
    assert (found.requests, found.failures, found.agreed, found.most_unlike) == (1, 0, 0, "x")


async def test_tolerance_of_the_candidates_manifest_holds(bench):
    stage = Stage(bench, tolerance=(Tolerance(output="x", absolute=1),))
    for data in (b"8", b"9"):
        await stage.ask(b"7")
        await stage.answer(data)

    assert (stage.run.found.requests, stage.run.found.agreed) == (2, 1)
    await stage.run.close()


async def test_candidate_is_asked_one_request_at_a_time_and_in_order(stage):
    for data in (b"1", b"2", b"3"):
        await stage.ask(data)
    assert stage.worker.asked == [b"1"]

    await stage.answer(b"1")
    await stage.answer(b"2")
    assert stage.worker.asked == [b"1", b"2", b"3"]


async def test_candidate_waits_until_the_active_version_has_nothing_to_do(stage):
    first, second = stage.bench.ask(b"1"), stage.bench.ask(b"2")
    stage.bench.worker.under_way[0].answer()
    await settle()
    assert (first.is_finished, second.is_finished, stage.worker.asked) == (True, False, [])
    await stage.bench.time.pass_s(LOOK_EVERY_S)
    assert stage.worker.asked == []

    stage.bench.worker.answer_all()
    await stage.bench.time.pass_s(LOOK_EVERY_S)
    assert stage.worker.asked == [b"1"]


async def test_hanging_candidate_costs_apps_nothing_and_is_stopped_after_the_time_of_any_request(stage):
    await stage.ask(b"1")
    for _ in range(100):
        assert (await stage.ask(b"2")).answer == b"2"
    assert stage.stats.results["shed"] == 100 - 15, "fifteen wait behind the one that hangs"

    await stage.bench.time.pass_s(TIMEOUT_S)
    assert stage.worker.stopped == stage.worker.under_way
    await stage.fail(DeadlineError("stopped"))
    assert stage.run.found.failures == 1


async def test_answer_that_comes_too_late_is_a_failure(stage):
    await stage.ask(b"1")
    await stage.bench.time.pass_s(TIMEOUT_S)
    await stage.answer(b"1")

    assert (stage.run.found.requests, stage.run.found.failures) == (1, 1)


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (BackendError("a node failed"), True),
        (TensorError("no output y"), True),
        (UnavailableError("no memory"), False),
        (SequenceError("not known"), False),
    ],
)
async def test_failures_of_the_candidate_count_and_troubles_of_the_device_do_not(stage, error, counts):
    await stage.ask(b"1")
    await stage.fail(error)

    assert (stage.run.found.requests, stage.run.found.failures) == (int(counts), int(counts))
    assert (stage.stats.results["failed"], stage.stats.results["shed"]) == (int(counts), int(not counts))


async def test_lost_worker_counts_once_and_the_next_one_goes_on(stage):
    for data in (b"1", b"2"):
        await stage.ask(data)
    stage.worker.die()
    await settle()
    assert stage.run.notice_loss()
    assert stage.run.notice_loss()
    assert (stage.run.worker_losses, stage.run.found.failures) == (1, 1)

    first, stage.worker = stage.worker, FakeWorker(101)
    await stage.run.go_on_with(stage.worker)
    await settle()
    assert first.is_closed
    assert not stage.run.notice_loss()
    assert stage.worker.asked == [b"2"]


async def test_workers_that_ended_with_the_template_are_not_the_candidates_losses(stage):
    """All models lose theirs together then."""
    for with_template, losses in ((True, 0), (False, 1), (True, 1)):
        stage.worker.ended_with_template = with_template
        stage.worker.die()
        assert stage.run.notice_loss()
        assert stage.run.found.worker_losses == losses

        stage.worker = FakeWorker(101)
        await stage.run.go_on_with(stage.worker)
        assert stage.run.found.worker_losses == losses


async def test_sequence_that_the_candidate_failed_is_not_continued(stage):
    begin, go_on = (SequenceStep(id=1, is_start=is_start) for is_start in (True, False))
    await stage.ask(b"1", sequence=begin)
    await stage.ask(b"2", sequence=go_on)
    await stage.fail(BackendError("a node failed"))
    await stage.ask(b"3", sequence=go_on)
    assert stage.worker.asked == [b"1"]
    assert stage.run.found.requests == 1

    await stage.ask(b"4", sequence=begin)
    assert stage.worker.asked == [b"1", b"4"]
    assert stage.worker.runs[-1].requests[0].sequence == begin


async def test_only_runs_that_had_the_device_to_themselves_count_for_the_latency(stage):
    for idle_s in (1000.0, 0.0):
        await stage.ask(b"1")
        stage.idle_s = idle_s
        await stage.answer(b"1", run_s=0.004)
        stage.idle_s = 1000.0

    assert stage.run.found.run_s == ((0.001, 0.004),)
    assert stage.run.found.requests == 2


async def test_runs_that_requests_shared_say_nothing_of_the_latency(make_bench):
    stage = Stage(await make_bench(max_rows=8))
    await stage.ask(b"0")  # how long a run takes is known from here on
    await stage.answer(b"0")
    asked = [stage.bench.ask(data) for data in (b"1", b"2", b"3")]
    for _ in asked:
        stage.bench.worker.answer_all()
        await settle()
    await stage.answer(b"1")
    await stage.answer(b"2")
    await stage.answer(b"3")

    assert stage.bench.worker.asked == [b"0", b"1", b"23"]
    assert stage.run.found.agreed == 4
    assert len(stage.run.found.run_s) == 2, "those of the two that ran alone"
    await stage.run.close()


async def test_closed_run_is_told_nothing_and_ends_its_worker(stage):
    await stage.ask(b"1")
    await stage.run.close()
    await stage.ask(b"2")

    assert stage.worker.is_closed
    assert stage.worker.asked == [b"1"]
    assert stage.run.found.requests == 0, "what was under way says nothing"
    assert not stage.stats.is_running


async def test_variants_that_come_and_go_are_followed(stage, make_bench):
    other = await make_bench()
    stage.run.follow([other.served])
    await stage.ask(b"1")
    assert stage.worker.asked == []

    other.ask(b"2")
    other.worker.answer_all()
    await settle()
    assert stage.worker.asked == [b"2"]
