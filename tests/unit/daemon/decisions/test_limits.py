"""A rule's limits count what begins, whoever asks, and no more begins than the rule lets."""

import pytest

from edged.daemon.decisions.limits import DecidedLimits
from edged.errors import PolicyLimitError
from edged.policy.ask import Ask
from edged.select.decision import Action, Decision
from tests.fakes.requests import BACKGROUND

ASK = Ask(model="echo")


def decision_of(*, at_a_time=None, per_s=None) -> Decision:
    return Decision(
        action=Action.RUN, rule="warm", origin="packaged", rank=0, max_concurrent=at_a_time, max_rate_per_s=per_s
    )


class Time:
    def __init__(self) -> None:
        self.now_s = 1000.0


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def limits(time):
    return DecidedLimits(lambda: time.now_s)


def begun(limits, decision, *, tries=100, ask=ASK) -> int:
    """Begin requests until one is refused; returns how many began."""
    for count in range(tries):
        try:
            limits.take(ask, decision)
        except PolicyLimitError:
            return count
    return tries


def test_so_many_run_at_a_time_and_the_next_when_one_is_over(limits):
    decision = decision_of(at_a_time=2)
    give_back = limits.take(ASK, decision)
    assert begun(limits, decision) == 1

    give_back()
    assert begun(limits, decision) == 1


def test_models_and_classes_are_counted_apart(limits):
    decision = decision_of(at_a_time=1)
    asks = [ASK, Ask(model="other"), Ask(model="echo", request_class=BACKGROUND)]

    assert [begun(limits, decision, ask=ask) for ask in asks] == [1, 1, 1]


def test_whether_a_caller_consents_to_be_offloaded_makes_no_difference(limits):
    decision = decision_of(at_a_time=1)
    limits.take(ASK, decision)

    assert begun(limits, decision, ask=Ask(model="echo", has_consent=True)) == 0


@pytest.mark.parametrize(("per_s", "in_10_s"), [(2.0, 2 + 20), (0.5, 1 + 5), (2.5, 3 + 25)])
def test_so_many_begin_in_a_second_in_the_long_run(limits, time, per_s, in_10_s):
    decision = decision_of(per_s=per_s)
    count = begun(limits, decision)
    for _ in range(100):
        time.now_s += 0.1
        count += begun(limits, decision)

    assert count == in_10_s


def test_who_is_refused_for_the_rate_is_told_when_there_is_room(limits):
    decision = decision_of(per_s=0.3)
    limits.take(ASK, decision)
    with pytest.raises(PolicyLimitError, match=r"no more than 0\.3 requests a second for model echo") as caught:
        limits.take(ASK, decision)

    assert (caught.value.retry_after_s, caught.value.facts["rule"]) == (4, "warm")


def test_nothing_is_counted_of_models_that_have_nothing_under_way(limits):
    give_back = [limits.take(Ask(model=model), decision_of(at_a_time=2)) for model in ("echo", "echo", "other")]
    for each in give_back:
        each()

    assert not limits._running


def test_what_is_refused_for_the_number_at_a_time_costs_none_of_the_rate(limits):
    decision = decision_of(at_a_time=1, per_s=2.0)
    give_back = limits.take(ASK, decision)
    assert begun(limits, decision) == 0

    give_back()
    assert begun(limits, decision) == 1


def test_another_limit_counts_at_once_and_what_runs_stays_counted(limits):
    assert begun(limits, decision_of(at_a_time=3)) == 3

    assert begun(limits, decision_of(at_a_time=2)) == 0
    assert begun(limits, decision_of(at_a_time=5)) == 2


def test_a_lower_rate_takes_effect_at_once(limits, time):
    assert begun(limits, decision_of(per_s=100.0)) == 100
    time.now_s += 1.0

    assert begun(limits, decision_of(per_s=2.0)) == 2


def test_a_rate_that_comes_back_counts_as_before(limits, time):
    for per_s in (100.0, 2.0, 100.0):
        begun(limits, decision_of(per_s=per_s))
    time.now_s += 1.0

    assert begun(limits, decision_of(per_s=100.0)) == 100
