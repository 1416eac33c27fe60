"""When a shadow run goes on, has passed, or has failed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.activation.shadow import Findings, ShadowRules, judge, stricter
from edged.activation.trial import TrialRules

RULES = ShadowRules(share=0.1, min_s=600.0, min_requests=50, max_s=3600.0, min_agreement=0.9)
LIMITS = TrialRules(max_worker_losses=1, max_error_excess=0.02, max_latency_factor=1.5, judged_requests=20)
BUDGET_MS = 20.0
ALIKE = Findings(requests=100, agreed=100, run_s=((0.010, 0.010),) * 100)


def verdict(found, *, age_s=600.0, rules=RULES, limits=LIMITS, budget_ms=BUDGET_MS):
    return judge(rules, limits, age_s=age_s, found=found, budget_ms=budget_ms)


def times(active_ms: float, own_ms: float, *, slow: int = 100) -> tuple[tuple[float, float], ...]:
    """A hundred runs, of which the candidate's last ones take so long."""
    quick = min(active_ms, own_ms)
    return ((active_ms / 1000, quick / 1000),) * (100 - slow) + ((active_ms / 1000, own_ms / 1000),) * slow


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(ALIKE, "passed", id="nothing"),
        pytest.param(Findings(requests=100, agreed=100, worker_losses=1), "passed", id="as many workers as allowed"),
        pytest.param(Findings(worker_losses=2), "failed", id="one more, without any request"),
        pytest.param(Findings(requests=100, failures=2, agreed=98), "passed", id="as many failures as allowed"),
        pytest.param(Findings(requests=100, failures=3, agreed=97), "failed", id="more failures"),
        pytest.param(Findings(requests=19, failures=19), "goes-on", id="too few requests to judge by"),
        pytest.param(Findings(requests=20, failures=20), "failed", id="just enough requests"),
        pytest.param(Findings(requests=100, agreed=90), "passed", id="as many answers alike as are wanted"),
        pytest.param(Findings(requests=100, agreed=89), "failed", id="fewer alike"),
        pytest.param(Findings(requests=20, failures=1, agreed=0), "failed", id="failures are not answers that differ"),
        pytest.param(Findings(requests=19, agreed=0), "goes-on", id="too few answers to judge by"),
        pytest.param(replace(ALIKE, run_s=times(10.0, 25.0)), "failed", id="slower, and than the budget"),
        pytest.param(replace(ALIKE, run_s=times(17.0, 25.0)), "passed", id="slower by less than allowed"),
        pytest.param(replace(ALIKE, run_s=times(10.0, 20.0)), "passed", id="slower, but within the budget"),
        pytest.param(replace(ALIKE, run_s=times(10.0, 25.0, slow=5)), "passed", id="slow in one run of twenty"),
        pytest.param(replace(ALIKE, run_s=times(10.0, 25.0, slow=6)), "failed", id="slow in more"),
        pytest.param(replace(ALIKE, run_s=times(10.0, 25.0)[:19]), "passed", id="slow in too few runs to judge by"),
    ],
)
def test_what_speaks_against_a_candidate(found, expected):
    assert verdict(found).state == expected


@pytest.mark.parametrize(
    ("age_s", "requests", "expected"),
    [
        pytest.param(599.0, 1000, "goes-on", id="not long enough"),
        pytest.param(600.0, 50, "passed", id="long enough, and enough requests"),
        pytest.param(600.0, 49, "goes-on", id="too few requests"),
        pytest.param(3600.0, 0, "passed", id="nobody asked anything, and the deadline has come"),
    ],
)
def test_patience(age_s, requests, expected):
    found = Findings(requests=requests, agreed=requests)
    result = verdict(found, age_s=age_s)

    assert result.state == expected
    assert (f"{requests} requests" in result.reason) == (expected == "passed"), "it says how many it saw"


def test_deadline_before_the_least_time_is_a_deadline():
    assert verdict(Findings(), rules=ShadowRules(min_s=600.0, max_s=10.0), age_s=10.0).state == "passed"


def test_failure_names_the_output_and_no_value():
    reason = verdict(Findings(requests=100, agreed=10, most_unlike="label")).reason

    assert "10.0% of 100 answers" in reason
    assert "output label" in reason


FOUND = st.builds(
    lambda requests, failed, agreed, **rest: Findings(
        requests=requests,
        failures=int(requests * failed),
        agreed=int((requests - int(requests * failed)) * agreed),
        **rest,
    ),
    st.integers(0, 500),
    st.floats(0, 1),
    st.floats(0, 1),
    worker_losses=st.integers(0, 4),
    run_s=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=30).map(tuple),
)
RULESETS = st.builds(
    ShadowRules,
    share=st.floats(0, 1),
    min_s=st.floats(0, 1000),
    min_requests=st.integers(0, 200),
    max_s=st.floats(1, 10_000),
    min_agreement=st.floats(0, 1),
)


@given(found=FOUND, rules=RULESETS)
def test_every_shadow_run_ends(found, rules):
    assert verdict(found, rules=rules, age_s=rules.max_s).state != "goes-on"


@given(one=RULESETS, other=RULESETS, share=st.floats(0, 1), found=FOUND, age_s=st.floats(0, 20_000))
def test_stricter_rules_let_a_candidate_pass_only_when_both_do(one, other, share, found, age_s):
    both = stricter(one, other, share=share)

    assert both.share == max(one.share, other.share, share)
    if verdict(found, rules=both, age_s=age_s).state == "passed":
        assert {verdict(found, rules=rules, age_s=age_s).state for rules in (one, other)} == {"passed"}


def test_rollout_asks_for_a_share_and_leaves_the_rest_as_it_is():
    assert stricter(ShadowRules(min_s=5.0), None, share=0.25) == ShadowRules(share=0.25, min_s=5.0)
    assert stricter(ShadowRules(share=0.5), None, share=0.25).share == 0.5
