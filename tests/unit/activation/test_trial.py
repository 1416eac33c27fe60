"""When a trial goes on, is good, or has failed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.activation.trial import TrialRules, judge, stricter
from edged.store.kept import Record

RULES = TrialRules(min_s=300.0, min_requests=10, max_s=3600.0, judged_requests=20)
WELL = Record(requests=100, p95_ms=(5.0, 10.0))
BUDGET_MS = 20.0


def verdict(new, *, old=WELL, age_s=1e9, soak_s=0.0, rules=RULES, budget_ms=BUDGET_MS):
    return judge(rules, soak_s=soak_s, age_s=age_s, new=new, old=old, budget_ms=budget_ms)


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        pytest.param(Record(worker_losses=1), WELL, "good", id="as many workers lost as allowed"),
        pytest.param(Record(worker_losses=2), WELL, "failed", id="one more, without any request"),
        pytest.param(Record(requests=100, failures=2), WELL, "good", id="as many failures more as allowed"),
        pytest.param(Record(requests=100, failures=3), WELL, "failed", id="more failures"),
        pytest.param(Record(requests=19, failures=19), WELL, "good", id="too few requests to judge by"),
        pytest.param(Record(requests=20, failures=20), WELL, "failed", id="just enough requests"),
        pytest.param(
            Record(requests=100, failures=10), replace(WELL, failures=10), "good", id="it was no better before"
        ),
        pytest.param(Record(requests=100, late=50), WELL, "failed", id="deadlines that were kept before"),
        pytest.param(Record(requests=100, late=50), None, "good", id="deadlines, with nothing to compare with"),
        pytest.param(Record(requests=100, failures=3), None, "failed", id="failures, with nothing to compare with"),
        pytest.param(
            Record(requests=100, failures=3), Record(requests=19, failures=19), "failed", id="too few before to compare"
        ),
        pytest.param(replace(WELL, p95_ms=(25.0, 50.0)), WELL, "failed", id="slower than before, and than the budget"),
        pytest.param(replace(WELL, p95_ms=(10.0, 25.0)), WELL, "good", id="perhaps slower, perhaps not"),
        pytest.param(replace(WELL, p95_ms=(25.0, 50.0)), None, "good", id="slow, with nothing to compare with"),
        pytest.param(
            replace(WELL, p95_ms=(25.0, 50.0)), replace(WELL, p95_ms=(10.0, 25.0)), "good", id="slow as before"
        ),
    ],
)
def test_what_speaks_against_a_version(new, old, expected):
    assert verdict(new, old=old).state == expected


def test_slower_than_before_but_within_its_budget_is_good():
    assert verdict(replace(WELL, p95_ms=(15.1, 20.0)), budget_ms=16.0).state == "good"
    assert verdict(replace(WELL, p95_ms=(16.0, 20.0)), budget_ms=16.0).state == "failed"


@pytest.mark.parametrize(
    ("age_s", "soak_s", "requests", "expected"),
    [
        pytest.param(299.0, 0.0, 1000, "goes-on", id="not long enough"),
        pytest.param(300.0, 0.0, 10, "good", id="long enough, and enough requests"),
        pytest.param(300.0, 0.0, 9, "goes-on", id="too few requests"),
        pytest.param(3600.0, 0.0, 0, "good", id="too few requests, but the deadline has come"),
        pytest.param(3600.0, 7200.0, 1000, "goes-on", id="the rollout asks for longer"),
        pytest.param(7200.0, 7200.0, 0, "good", id="and even then it comes to an end"),
    ],
)
def test_patience(age_s, soak_s, requests, expected):
    assert verdict(Record(requests=requests), age_s=age_s, soak_s=soak_s).state == expected


RECORDS = st.builds(
    Record,
    requests=st.integers(0, 1000),
    failures=st.integers(0, 100),
    late=st.integers(0, 100),
    p95_ms=st.none() | st.tuples(st.floats(0, 100), st.floats(100, 1000)),
    worker_losses=st.integers(0, 5),
)


@given(new=RECORDS, old=st.none() | RECORDS, soak_s=st.floats(0, 1e6))
def test_every_trial_ends(new, old, soak_s):
    """However it went: at the deadline, or when the rollout's time is over, there is a verdict."""
    assert verdict(new, old=old, soak_s=soak_s, age_s=max(RULES.max_s, soak_s)).state != "goes-on"


@given(new=RECORDS, old=RECORDS, age_s=st.floats(0, 1e5))
def test_a_version_that_did_the_same_as_the_one_before_is_never_slow_or_failing(new, old, age_s):
    same = replace(new, worker_losses=0)

    assert verdict(same, old=same, age_s=age_s).state != "failed"


WELL_KNOWN = RECORDS.filter(lambda record: record.requests >= 100)
RULESETS = st.builds(
    TrialRules,
    min_s=st.floats(0, 1000),
    min_requests=st.integers(0, 50),
    max_s=st.floats(1, 10_000),
    max_worker_losses=st.integers(0, 3),
    max_error_excess=st.floats(0, 1),
    max_latency_factor=st.floats(1, 10),
    judged_requests=st.integers(1, 100),
)


@given(one=RULESETS, other=RULESETS, new=RECORDS, old=st.none() | WELL_KNOWN, age_s=st.floats(0, 20_000))
def test_stricter_rules_find_a_version_good_only_when_both_do(one, other, new, old, age_s):
    """With a version before of which enough is known for either."""
    both = stricter(one, other)
    is_good = verdict(new, old=old, age_s=age_s, rules=both).state == "good"

    if is_good:
        states = {verdict(new, old=old, age_s=age_s, rules=rules).state for rules in (one, other)}
        assert states == {"good"}


def test_stricter_than_nothing_is_the_rules_themselves():
    assert stricter(RULES, None) == RULES
