"""Triton's statistics extension: every field it has, from what edged counts."""

import json
from dataclasses import replace

import msgspec

from edged.api.oip.statistics import statistics_of
from edged.api.ports import ModelUsage
from edged.ids import Version
from edged.telemetry.serving import ServingStats
from tests.fakes.fake_models import ECHO
from tests.fakes.usages import usage_of


def document(*models: ModelUsage):
    return json.loads(msgspec.json.encode(statistics_of(models)))


def counted():
    """Return counters after two shared runs of five rows, one run alone and one failure."""
    stats = ServingStats(unix_s=lambda: 1_800_000_000.25)
    for queue_s in (0.25, 0.25, 0.5, 0.0):
        stats.began(queue_s)
    for rows in (5, 5, 1):
        stats.ran(rows, 0.5)
    for total_s in (0.75, 0.75, 1.0):
        stats.finished("ok", total_s)
    stats.finished("worker-lost", 2.0)
    stats.misses = 3
    for found in (True, False, True):
        stats.looked_for_features(found=found)
    return stats


def test_every_field_of_the_extension_is_there():
    """As docs/protocol/extension_statistics.md lists them; those of features are edged's own."""
    nothing = {"count": 3, "ns": 0}
    of_five, of_one = {"count": 2, "ns": 10**9}, {"count": 1, "ns": 5 * 10**8}

    assert document(usage_of(stats=counted())) == {
        "model_stats": [
            {
                "name": "echo",
                "version": "1.2.3",
                "last_inference": 1_800_000_000_250,
                "inference_count": 11,
                "execution_count": 3,
                "inference_stats": {
                    "success": {"count": 3, "ns": 2_500_000_000},
                    "fail": {"count": 1, "ns": 2_000_000_000},
                    "queue": {"count": 4, "ns": 1_000_000_000},
                    "compute_input": nothing,
                    "compute_infer": {"count": 3, "ns": 1_500_000_000},
                    "compute_output": nothing,
                    "cache_hit": {"count": 0, "ns": 0},
                    "cache_miss": {"count": 3, "ns": 0},
                    "feature_hit": {"count": 2, "ns": 0},
                    "feature_miss": {"count": 1, "ns": 0},
                },
                "batch_stats": [
                    {
                        "batch_size": 1,
                        "compute_input": {"count": 1, "ns": 0},
                        "compute_infer": of_one,
                        "compute_output": {"count": 1, "ns": 0},
                    },
                    {
                        "batch_size": 5,
                        "compute_input": {"count": 2, "ns": 0},
                        "compute_infer": of_five,
                        "compute_output": {"count": 2, "ns": 0},
                    },
                ],
            }
        ]
    }


def test_model_that_was_never_asked_has_zeros():
    (model,) = document(usage_of())["model_stats"]

    assert (model["last_inference"], model["inference_count"], model["execution_count"]) == (0, 0, 0)
    assert all(duration == {"count": 0, "ns": 0} for duration in model["inference_stats"].values())
    assert model["batch_stats"] == []


def test_device_without_models_has_an_empty_list():
    assert document() == {"model_stats": []}


def test_each_model_has_its_own_entry_with_its_active_version():
    models = document(usage_of("echo"), usage_of("pair", view=replace(ECHO, version=Version(2, 0, 0))))["model_stats"]

    assert [(model["name"], model["version"]) for model in models] == [("echo", "1.2.3"), ("pair", "2.0.0")]
