"""Rates of what comes."""

import pytest

from edged.update.traffic.meter import LEAST_S, WINDOW_S, Meter


def test_rate_is_that_of_the_last_seconds():
    """What was fast, or slow, before them is forgotten."""
    meter = Meter()
    for second in range(100):
        meter.add(50_000 if second < 50 else 1000, now_s=float(second))

    assert meter.bytes_per_s(now_s=99.0) == pytest.approx(1000, rel=0.01)


def test_rate_falls_while_nothing_comes():
    meter = Meter()
    for second in range(5):
        meter.add(1000, now_s=float(second))
    before = meter.bytes_per_s(now_s=4.0)

    assert meter.bytes_per_s(now_s=4.0 + WINDOW_S / 2) < before


def test_rate_of_too_little_is_none():
    meter = Meter()
    assert meter.bytes_per_s(now_s=0.0) is None
    meter.add(1000, now_s=0.0)

    assert meter.bytes_per_s(now_s=LEAST_S / 2) is None
