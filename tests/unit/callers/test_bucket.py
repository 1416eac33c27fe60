"""The token bucket: no window of time ever holds more than the burst and what the rate gave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.callers.bucket import TokenBucket

RATES = st.floats(min_value=0.01, max_value=1000.0)
BURSTS = st.integers(min_value=1, max_value=50)
PAUSES = st.lists(st.floats(min_value=0.0, max_value=20.0), max_size=60)
ROUNDING = 1e-6


def taken_at(bucket, pauses, *, start_s=0.0):
    """Ask once after each pause; return the moments at which there was a token."""
    now_s, moments = start_s, []
    for pause_s in pauses:
        now_s += pause_s
        if bucket.take(now_s) == 0.0:
            moments.append(now_s)
    return moments


@given(rate=RATES, burst=BURSTS, pauses=PAUSES)
def test_no_window_holds_more_than_burst_and_rate(rate, burst, pauses):
    """From any taken token to any later one: at most ``burst + rate * time`` tokens."""
    moments = taken_at(TokenBucket(rate_per_s=rate, burst=burst, now_s=0.0), pauses)

    for i, first_s in enumerate(moments):
        for j in range(i, len(moments)):
            assert j - i + 1 <= burst + rate * (moments[j] - first_s) + ROUNDING


@given(rate=RATES, burst=BURSTS, pauses=PAUSES)
def test_whoever_waits_as_long_as_told_gets_a_token(rate, burst, pauses):
    bucket = TokenBucket(rate_per_s=rate, burst=burst, now_s=0.0)
    taken_at(bucket, pauses)
    now_s = sum(pauses)

    wait_s = bucket.take(now_s)

    assert not wait_s or bucket.take(now_s + wait_s) == 0.0


@given(rates=st.tuples(RATES, RATES), bursts=st.tuples(BURSTS, BURSTS), pauses=st.tuples(PAUSES, PAUSES))
def test_change_gives_nothing_away(rates, bursts, pauses):
    """After a change, no window from it on holds more than the new burst and rate allow, nor more than was left and the new rate gave."""
    bucket = TokenBucket(rate_per_s=rates[0], burst=bursts[0], now_s=0.0)
    before = taken_at(bucket, pauses[0])
    changed_s = sum(pauses[0])
    bucket.change(rate_per_s=rates[1], burst=bursts[1], now_s=changed_s)

    after = taken_at(bucket, pauses[1], start_s=changed_s)

    left = bursts[0] + rates[0] * changed_s - len(before)
    for count, moment_s in enumerate(after, start=1):
        assert count <= min(bursts[1], left) + rates[1] * (moment_s - changed_s) + ROUNDING


def test_full_bucket_is_given_at_once_and_then_at_the_rate():
    bucket = TokenBucket(rate_per_s=2.0, burst=3, now_s=10.0)

    assert [bucket.take(10.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert bucket.take(10.25) == 0.25
    assert bucket.take(10.5) == 0.0


def test_pause_gives_no_more_than_the_burst():
    bucket = TokenBucket(rate_per_s=100.0, burst=2, now_s=0.0)

    assert [bucket.take(1e6) == 0.0 for _ in range(3)] == [True, True, False]


def test_lower_burst_caps_what_is_there_and_a_higher_one_adds_nothing():
    bucket = TokenBucket(rate_per_s=1.0, burst=10, now_s=0.0)
    bucket.change(rate_per_s=1.0, burst=2, now_s=0.0)
    bucket.change(rate_per_s=1.0, burst=50, now_s=0.0)

    assert [bucket.take(0.0) == 0.0 for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(("now_s", "is_full"), [(0.0, False), (1.9, False), (2.0, True), (9.0, True)])
def test_bucket_is_full_once_everything_came_back(now_s, is_full):
    bucket = TokenBucket(rate_per_s=1.0, burst=5, now_s=0.0)
    bucket.take(0.0)
    bucket.take(0.0)

    assert bucket.is_full(now_s) is is_full
