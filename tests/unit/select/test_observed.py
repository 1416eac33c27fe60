"""What is made of the runs of a variant: the time that nearly all of them took, judged by the latest, and when a figure is another one."""

import random

import pytest

from edged.select.decision import Measured
from edged.select.observed import FEWEST_RUNS, MOST_RUNS, add_runs, by_bucket, is_like, p95_s
from edged.telemetry.histogram import Histogram, divided
from edged.telemetry.serving import DURATION_BOUNDS_S, PARTS

BOUNDS_S = divided(DURATION_BOUNDS_S, PARTS)


def runs_of(*times_s: float) -> tuple[int, ...]:
    histogram = Histogram(DURATION_BOUNDS_S, parts=PARTS)
    for time_s in times_s:
        histogram.observe(time_s)
    return by_bucket(histogram.fine_cumulative)


@pytest.mark.parametrize("seed", range(5))
def test_time_of_95_of_100_runs_is_off_by_less_than_a_bucket(seed):
    chance = random.Random(seed)
    times_s = [chance.lognormvariate(-6, 1) for _ in range(1000)]
    exact_s = sorted(times_s)[949]

    assert p95_s(runs_of(*times_s), BOUNDS_S) == pytest.approx(exact_s, rel=0.25)


@pytest.mark.parametrize(
    ("runs", "most_s"),
    [
        pytest.param((0, 100, 0), 0.195, id="95 of 100"),
        pytest.param((0, 21, 0), 0.1 + 0.1 * 20 / 21, id="20 of 21"),
        pytest.param((94, 6, 0), 0.1 + 0.1 / 6, id="the first beyond a bound"),
        pytest.param((95, 5, 0), 0.1, id="the last within a bound"),
    ],
)
def test_within_a_bucket_runs_are_taken_to_be_evenly_spread(runs, most_s):
    assert p95_s(runs, (0.1, 0.2)) == pytest.approx(most_s)


def test_few_runs_say_nothing():
    assert p95_s(runs_of(*[0.01] * (FEWEST_RUNS - 1)), BOUNDS_S) is None
    assert p95_s(runs_of(*[0.01] * FEWEST_RUNS), BOUNDS_S) is not None
    assert p95_s((), BOUNDS_S) is None


def test_runs_beyond_the_last_bound_count_as_that():
    assert p95_s(runs_of(*[99.0] * 100), BOUNDS_S) == BOUNDS_S[-1]


def test_latest_runs_count_most():
    """A device that has become hot is not judged by how fast it was."""
    runs: tuple[int, ...] = ()
    for time_s in (0.001, 0.1):
        for _ in range(20):
            runs = add_runs(runs, runs_of(*[time_s] * (MOST_RUNS // 10)))

    assert sum(runs) < MOST_RUNS
    assert p95_s(runs, BOUNDS_S) == pytest.approx(0.1, rel=0.25)
    assert p95_s(add_runs((), runs_of(*[0.001] * 50)), BOUNDS_S) == pytest.approx(0.001, rel=0.25)


def test_once_there_are_very_many_each_counts_for_half():
    assert add_runs((999, 999), (0, 0)) == (999, 999)
    assert add_runs((1000, 999), (0, 1)) == (500, 500)


def test_runs_that_were_counted_in_other_buckets_are_left_out():
    assert add_runs((1, 2), (3, 4, 5)) == (3, 4, 5)


def test_figure_is_another_one_when_it_differs_by_more_than_a_tenth_or_becomes_known():
    one = Measured(latency_s=0.1, memory_bytes=100)

    assert is_like(one, Measured(latency_s=0.105, memory_bytes=95))
    assert is_like(one, Measured(latency_s=0.109, memory_bytes=100))
    assert not is_like(one, Measured(latency_s=0.112, memory_bytes=100))
    assert not is_like(one, Measured(latency_s=0.1, memory_bytes=50))
    assert not is_like(one, Measured(latency_s=None, memory_bytes=100))
    assert not is_like(one, Measured(latency_s=0.1, memory_bytes=100, joules=0.1))
    assert not is_like(Measured(joules=0.1, watts=2.0), Measured(joules=0.1, watts=3.0))
    assert is_like(Measured(joules=0.1, watts=2.0), Measured(joules=0.105, watts=1.9))
    assert not is_like(one, None)
    assert not is_like(None, one)
    assert is_like(None, None)
