"""What speaks against a model is said with its numbers."""

import math

import pytest

from edged.bundle.manifest import Budget, MetricLimit
from edged.validation.verdict import Measured, VariantResult, Verdict, mebibytes, milliseconds

MIB = 1 << 20


def verdict(*, latency_ms=1.0, memory_bytes=MIB, measures=()):
    return Verdict(
        samples=(),
        overall=(),
        measures=tuple(measures),
        latency_p50_ms=latency_ms,
        memory_bytes=memory_bytes,
        budget=Budget(latency_ms=50.0, memory_bytes=128 * MIB),
    )


def test_memory_over_the_budget_fails_with_both_numbers():
    assert verdict(memory_bytes=212 * MIB).reasons == ("needs 212 MiB of memory, the budget is 128 MiB",)
    assert verdict(memory_bytes=128 * MIB).passed


def test_what_is_over_the_budget_by_a_byte_reads_so():
    assert verdict(memory_bytes=128 * MIB + 1).reasons == ("needs 128.1 MiB of memory, the budget is 128 MiB",)


def test_latency_over_the_budget_fails_with_both_numbers():
    assert verdict(latency_ms=212.4).reasons == ("median latency is 212 ms, the budget is 50 ms",)


def test_what_was_not_measured_is_not_held_against_a_model():
    assert verdict(latency_ms=None, memory_bytes=None).passed


@pytest.mark.parametrize(
    ("bounds", "value", "reason"),
    [
        ({"at_most": 2.5}, 2.5, ""),
        ({"at_most": 2.5}, 2.6, "is 2.6, allowed is at most 2.5"),
        ({"at_least": 0.9}, 0.9, ""),
        ({"at_least": 0.9}, 0.85, "is 0.85, allowed is at least 0.9"),
        ({"at_most": 2.5}, math.inf, "is inf, allowed is at most 2.5"),
        ({"at_most": 2.5}, math.nan, "is nan, allowed is at most 2.5"),
        ({"at_least": 0.5}, math.nan, "is nan, allowed is at least 0.5"),
    ],
)
def test_limits_are_inclusive_and_nan_keeps_none(bounds, value, reason):
    limit = MetricLimit(metric="mean_absolute_error", output="angle", **bounds)

    found = Measured(limit=limit, value=value, samples=20).reason

    assert found == (f"mean_absolute_error of angle over 20 samples {reason}" if reason else "")


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (VariantResult(variant="v", verdict=verdict()), "passed"),
        (VariantResult(variant="v", verdict=verdict(latency_ms=99.0)), "failed"),
        (VariantResult(variant="v", skipped="built for arm64"), "skipped"),
        (VariantResult(variant="v", error="model-load-failed: no"), "error"),
    ],
)
def test_a_variant_has_one_of_four_states(result, status):
    assert result.status == status
    assert bool(result.reasons) is (status != "passed")


def test_numbers_are_written_for_people():
    assert [mebibytes(n) for n in (0, 1, MIB, int(1.5 * MIB))] == ["0 MiB", "0.1 MiB", "1 MiB", "1.5 MiB"]
    assert [milliseconds(n) for n in (0.0001, 0.1234, 99.94, 1234.5)] == ["0.0001 ms", "0.123 ms", "99.9 ms", "1234 ms"]
