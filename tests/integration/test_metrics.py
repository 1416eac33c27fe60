"""Metrics and statistics over HTTP, as Prometheus and Triton's clients ask for them."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from edged.api.endpoints.metrics import Metrics
from edged.api.endpoints.replies import answer
from edged.api.endpoints.statistics import Statistics
from edged.telemetry.serving import ServingStats
from edged.telemetry.shadow import ShadowStats
from tests.fakes.fake_models import PAIR, FakeModels
from tests.fakes.usages import FakeUsage, usage_of


@pytest.fixture
def asking(tmp_path):
    """Return a context in which ``ask(path)`` gives status, headers and text of a daemon with these models."""

    @asynccontextmanager
    async def start(*models, shadows=()):
        usage = FakeUsage(*models)
        app = web.Application(middlewares=[answer])
        metrics = Metrics(
            usage=usage,
            connections=lambda: {"app": 2},
            reviews=lambda: {"echo": False, "gone": True},
            shadows=lambda: dict(shadows),
            started_unix_s=1_800_000_000.0,
        )
        app.add_routes(metrics.routes())
        app.add_routes(Statistics(models=FakeModels(), usage=usage).routes())
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, str(tmp_path / "s")).start()

        async def ask(path):
            async with session.get(f"http://localhost{path}") as reply:
                return reply.status, reply.headers, await reply.text()

        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "s"))) as session:
            yield ask
        await runner.cleanup()

    return start


def values(text, name):
    """Return the values of a metric's samples by the words of their labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


async def model_names(ask, path):
    """Return the names of the models that a statistics document tells of."""
    status, _, text = await ask(path)
    assert status == 200
    return [model["name"] for model in json.loads(text)["model_stats"]]


async def test_metrics_come_as_the_text_format_that_prometheus_asks_for(asking):
    async with asking(usage_of()) as ask:
        status, headers, text = await ask("/metrics")

    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert values(text, "edged_connections") == {("app",): 2}


async def test_metrics_are_those_of_the_moment(asking):
    stats = ServingStats()
    async with asking(usage_of(stats=stats)) as ask:
        _, _, before = await ask("/metrics")
        stats.finished("ok", 0.25)
        _, _, after = await ask("/metrics")

    assert values(before, "edged_requests_total") == {("echo", "ok"): 0}
    assert values(after, "edged_requests_total") == {("echo", "ok"): 1}


async def test_models_that_need_review_are_named_also_when_nothing_answers(asking):
    async with asking(usage_of()) as ask:
        _, _, text = await ask("/metrics")

    assert values(text, "edged_model_needs_review") == {("echo",): 0, ("gone",): 1}


async def test_shadow_runs_have_metrics_from_the_first_one_on(asking):
    stats = ShadowStats()
    stats.is_running = True
    stats.results.update({"agreed": 3, "shed": 1})
    stats.candidate_run_s.observe(0.004)
    async with asking(usage_of()) as ask:
        _, _, before = await ask("/metrics")
    async with asking(usage_of(), shadows={"echo": stats}) as ask:
        _, _, after = await ask("/metrics")

    assert "edged_shadow" not in before
    assert values(after, "edged_shadow_running") == {("echo",): 1}
    results = {("echo", "agreed"): 3, ("echo", "differed"): 0, ("echo", "failed"): 0, ("echo", "shed"): 1}
    assert values(after, "edged_shadow_requests_total") == results
    assert values(after, "edged_shadow_run_duration_seconds_count") == {("echo", "active"): 0, ("echo", "candidate"): 1}


async def test_memory_is_that_of_the_workers_process(asking):
    """This process stands for the worker: its proportional memory cannot be more than all it has."""
    async with asking(usage_of(worker_pid=os.getpid())) as ask:
        _, _, text = await ask("/metrics")

    resident = values(text, "edged_worker_resident_memory_bytes")["echo",]
    assert 0 < values(text, "edged_worker_proportional_memory_bytes")["echo",] <= resident
    # Both are read one right after the other, by two ways.
    assert values(text, "process_resident_memory_bytes")[()] == pytest.approx(resident, rel=0.5)


@pytest.fixture
def ended():
    """The number of a process that has just ended."""
    with subprocess.Popen([sys.executable, "-I", "-c", ""]) as process:
        return process.pid


async def test_worker_that_just_ended_leaves_only_its_memory_out(asking, ended):
    async with asking(usage_of(worker_pid=ended, waiting=3)) as ask:
        status, _, text = await ask("/metrics")

    assert status == 200
    assert values(text, "edged_worker_resident_memory_bytes") == {}
    assert values(text, "edged_requests_waiting") == {("echo",): 3}


async def test_many_who_ask_at_once_are_all_answered(asking):
    async with asking(usage_of(worker_pid=os.getpid())) as ask:
        replies = await asyncio.gather(*(ask("/metrics") for _ in range(20)))

    assert {status for status, _, _ in replies} == {200}


@pytest.mark.parametrize("path", ["/v2/models/pair/stats", "/v2/models/pair/versions/0.1.0/stats"])
async def test_statistics_of_one_model_are_its_own(asking, path):
    async with asking(usage_of("echo"), usage_of("pair", view=PAIR)) as ask:
        assert await model_names(ask, path) == ["pair"]


async def test_statistics_of_all_models_are_one_document(asking):
    async with asking(usage_of("echo"), usage_of("pair", view=PAIR)) as ask:
        assert await model_names(ask, "/v2/models/stats") == ["echo", "pair"]


@pytest.mark.parametrize("path", ["/v2/models/absent/stats", "/v2/models/pair/versions/9.9.9/stats"])
async def test_statistics_of_an_unknown_model_are_refused(asking, path):
    async with asking(usage_of("pair", view=PAIR)) as ask:
        status, _, text = await ask(path)

    assert status == 404
    assert json.loads(text)["type"] == "urn:edged:error:model-unknown"
