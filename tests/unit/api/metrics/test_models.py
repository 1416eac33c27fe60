"""Metrics: named as Prometheus' practices ask, complete, and with the values that were counted."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edged import __version__
from edged.api.metrics.models import add_models
from edged.api.metrics.process import add_daemon
from edged.telemetry.exposition import Exposition
from edged.telemetry.processes import OwnUse, ProcessMemory
from edged.telemetry.serving import ServingStats
from tests.fakes.usages import usage_of

OWN = OwnUse(cpu_s=1.5, resident_bytes=1000, virtual_bytes=3000, open_descriptors=12, max_descriptors=1024)


def counted():
    """Return counters of which none is zero."""
    stats = ServingStats()
    stats.rejected("queue-full")
    stats.rejected("queue-full")
    stats.rejected("quota")
    stats.began(0.25)
    stats.ran(4, 0.5)
    stats.finished("ok", 0.75)
    stats.finished("deadline-exceeded", 2.0)
    stats.restarted()
    stats.misses = 5
    for found in (True, False, False):
        stats.looked_for_features(found=found)
    return stats


def busy(name="echo", **now):
    """Return a model of which everything is known."""
    return usage_of(
        name, **{"stats": counted(), "worker_pid": 7, "waiting": 3, "running": 2, "shared_memory_bytes": 4096} | now
    )


def exposed(*models, memory=None):
    """Return the whole text."""
    text = Exposition()
    add_models(text, models, memory or {})
    add_daemon(text, OWN, connections={"app": 5, "admin": 1}, started_unix_s=1_800_000_000.5)
    return text.encode().decode()


def families(*models, memory=None):
    """Return the families as Prometheus' own library reads them."""
    return list(text_string_to_metric_families(exposed(*models, memory=memory)))


MEMORY = {7: ProcessMemory(resident_bytes=300, proportional_bytes=200)}
FULL = families(busy(), memory=MEMORY)


def values(name, found=FULL):
    """Return the values of the samples of one name by the words of their labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in found
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.parametrize("family", FULL, ids=[family.name for family in FULL])
def test_family_follows_the_naming_practices(family):
    """https://prometheus.io/docs/practices/naming/, and what promtool's linter refuses."""
    assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name), "colons are for recording rules, capitals for nobody"
    assert re.match(r"(edged|process)_", family.name)
    assert family.documentation
    assert family.type in {"counter", "gauge", "histogram"}
    assert not re.search(r"_(count|sum|bucket|total|created)$", family.name), "the parser takes _total off counters"
    assert not re.search(r"_(milli|micro|nano|kilo|mega|minutes|hours|ms|kb|mb|percent|kilobytes)", family.name)
    assert not re.search(r"_(counter|gauge|histogram)", family.name), "the type is no part of the name"
    for unit in ("seconds", "bytes"):
        assert family.name.count(unit) == family.name.endswith(unit), "a unit is the end of a name"
    for sample in family.samples:
        assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in sample.labels)
        assert not {"job", "instance"} & sample.labels.keys(), "those are Prometheus' own"


def test_counters_end_in_total_and_nothing_else_does():
    """The parser drops the ending, so the text itself is looked at."""
    kinds = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", exposed(busy(), memory=MEMORY)))

    assert {name for name, kind in kinds.items() if kind == "counter"} == {
        name for name in kinds if name.endswith("_total")
    }


def test_no_family_and_no_sample_is_there_twice():
    found = families(busy("a"), busy("b"))
    samples = [(s.name, tuple(sorted(s.labels.items()))) for family in found for s in family.samples]

    assert len({family.name for family in found}) == len(found)
    assert len(set(samples)) == len(samples)


def test_requests_are_counted_by_code_and_refusals_by_reason():
    assert values("edged_requests_total") == {("echo", "ok"): 1, ("echo", "deadline-exceeded"): 1}
    assert values("edged_rejected_requests_total") == {("echo", "queue-full"): 2, ("echo", "quota"): 1}


def test_what_was_looked_for_in_the_cache_is_counted_apart_from_features():
    assert values("edged_cache_lookups_total") == {("echo", "hit"): 0, ("echo", "miss"): 5}
    assert values("edged_cache_feature_lookups_total") == {("echo", "hit"): 1, ("echo", "miss"): 2}


def test_answers_of_a_model_that_was_never_asked_are_zero():
    """A counter that appears with its first 1 has no rise that rate() could see."""
    assert values("edged_requests_total", families(usage_of())) == {("echo", "ok"): 0}


@pytest.mark.parametrize(
    ("name", "total", "count"),
    [
        ("edged_request_duration_seconds", 2.75, 2),
        ("edged_queue_duration_seconds", 0.25, 1),
        ("edged_run_duration_seconds", 0.5, 1),
        ("edged_batch_rows", 4, 1),
    ],
)
def test_histograms_have_what_was_observed(name, total, count):
    assert values(f"{name}_sum") == {("echo",): total}
    assert values(f"{name}_count") == {("echo",): count}
    assert values(f"{name}_bucket")["echo", "+Inf"] == count


def test_model_says_what_it_is_and_does():
    assert values("edged_model_info") == {("echo", "1.2.3", "echo-1.2.3-fp32-amd64"): 1}
    assert values("edged_model_ready") == {("echo",): 1}
    assert values("edged_requests_waiting") == {("echo",): 3}
    assert values("edged_requests_running") == {("echo",): 2}
    assert values("edged_shared_memory_bytes") == {("echo",): 4096}
    assert values("edged_worker_restarts_total") == {("echo",): 1}
    assert values("edged_worker_resident_memory_bytes") == {("echo",): 300}
    assert values("edged_worker_proportional_memory_bytes") == {("echo",): 200}


@pytest.mark.parametrize("model", [busy(worker_pid=None), busy(worker_pid=8)])
def test_memory_of_no_worker_is_not_told(model):
    """None is being replaced, or none that /proc shows."""
    assert values("edged_worker_resident_memory_bytes", families(model, memory=MEMORY)) == {}


def test_each_model_is_its_own():
    assert values("edged_requests_waiting", families(busy("a", waiting=1), busy("b"))) == {("a",): 1, ("b",): 3}


def test_daemon_says_what_it_is_and_uses():
    assert values("edged_build_info") == {(__version__,): 1}
    assert values("edged_connections") == {("app",): 5, ("admin",): 1}
    assert values("process_start_time_seconds") == {(): 1_800_000_000.5}
    assert values("process_cpu_seconds_total") == {(): 1.5}
    assert values("process_resident_memory_bytes") == {(): 1000}
    assert values("process_virtual_memory_bytes") == {(): 3000}
    assert values("process_open_fds") == {(): 12}
    assert values("process_max_fds") == {(): 1024}


def test_device_without_models_still_tells_every_name():
    assert {family.name for family in families()} == {family.name for family in FULL}
