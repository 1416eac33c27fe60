"""When an endpoint that failed is asked again."""

from hypothesis import given
from hypothesis import strategies as st

from edged.offload.breaker import FAILURES, FIRST_REST_S, LONGEST_REST_S, TRIAL_S, Breaker


def broken(now_s=0.0):
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(now_s)
    return breaker


def test_some_failures_are_taken():
    breaker = Breaker()
    assert [breaker.failed(0.0) for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    assert breaker.wait_s(0.0) == FIRST_REST_S


def test_a_success_in_between_forgets_them():
    breaker = Breaker()
    for _ in range(FAILURES * 3):
        breaker.failed(0.0)
        breaker.succeeded()

    assert breaker.wait_s(0.0) == 0.0


def test_after_its_rest_one_request_is_the_trial():
    breaker = broken()

    assert breaker.wait_s(FIRST_REST_S) == 0.0
    assert breaker.wait_s(FIRST_REST_S) == TRIAL_S
    breaker.gave_up()
    assert breaker.wait_s(FIRST_REST_S) == 0.0


def test_a_trial_that_says_nothing_is_not_waited_for_for_ever():
    breaker = broken()
    breaker.wait_s(FIRST_REST_S)

    assert breaker.wait_s(FIRST_REST_S + TRIAL_S) == 0.0


def test_what_the_endpoint_asks_for_holds_at_once():
    breaker = Breaker()

    assert breaker.failed(5.0, retry_after_s=30.0) is True
    assert breaker.rest_s(6.0) == 29.0


@given(st.lists(st.integers(0, 1000), max_size=60))
def test_rests_grow_and_end(steps_s):
    """Whatever happens when, nobody is sent away for longer than the longest rest. Whole seconds, whose sums are not rounded."""
    breaker, now_s = Breaker(), 0.0
    for step_s in steps_s:
        now_s += step_s
        wait_s = breaker.wait_s(now_s)
        assert 0.0 <= wait_s <= max(LONGEST_REST_S, TRIAL_S)
        if wait_s == 0.0:
            breaker.failed(now_s)
