"""When the quiet window is open, and what is said while it is not."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.activation.window import Conditions, WindowRules, reasons_to_wait, unmet

CALM = Conditions(minute_of_day=3 * 60, idle_s=1e6, is_plugged_in=True, hottest_c=30.0)
BLIND = Conditions(minute_of_day=None, idle_s=0.0, is_plugged_in=None, hottest_c=None)
ALL_RULES = WindowRules(hours=("02:00-04:00",), idle_s=60.0, plugged_in=True, cool_below_c=50.0)

MINUTES = st.integers(0, 1439)
RULES = st.builds(
    WindowRules,
    hours=st.lists(
        st.tuples(MINUTES, MINUTES).map(lambda span: "-".join(f"{at // 60:02}:{at % 60:02}" for at in span)), max_size=3
    ).map(tuple),
    idle_s=st.floats(0, 1e6),
    plugged_in=st.booleans(),
    cool_below_c=st.none() | st.floats(-40, 150),
    max_wait_s=st.sampled_from([0.0, 1.0, 3600.0]),
)
CONDITIONS = st.builds(
    Conditions,
    minute_of_day=st.none() | MINUTES,
    idle_s=st.floats(0, 1e6),
    is_plugged_in=st.none() | st.booleans(),
    hottest_c=st.none() | st.floats(-40, 150),
)


def at(clock: str) -> Conditions:
    hour, minute = clock.split(":")
    return replace(CALM, minute_of_day=int(hour) * 60 + int(minute))


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        (("09:00-17:30",), ["09:00", "12:00", "17:29"], ["08:59", "17:30", "00:00"]),
        (("22:00-05:00",), ["22:00", "23:59", "00:00", "04:59"], ["05:00", "12:00", "21:59"]),
        (("22:00-00:00",), ["22:00", "23:59"], ["00:00", "21:59"]),
        (("00:00-00:00",), ["00:00", "12:00", "23:59"], []),
        (("07:00-07:00",), ["06:59", "07:00"], []),
        (("12:30-13:30", "23:00-01:00"), ["12:30", "00:30"], ["13:30", "01:00"]),
    ],
)
def test_hours_have_a_beginning_and_end_before_their_end(hours, inside, outside):
    rules = WindowRules(hours=hours)

    assert [clock for clock in [*inside, *outside] if not unmet(rules, at(clock))] == inside


@given(begin=MINUTES, end=MINUTES, minute=MINUTES)
def test_a_span_and_the_one_from_its_end_to_its_beginning_make_a_day(begin, end, minute):
    spans = [f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in ((begin, end), (end, begin))]

    held = [not unmet(WindowRules(hours=(span,)), replace(CALM, minute_of_day=minute)) for span in spans]

    assert held.count(True) == (1 if begin != end else 2)


@pytest.mark.parametrize("text", ["24:00-05:00", "22:00-5:00", "22:60-23:00", "22:00", "22:00-05:00\n", " 22:00-05:00"])
def test_what_is_no_span_is_refused_when_it_is_read(text):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"hours": [text]}, WindowRules)


def test_rules_that_ask_for_nothing_are_met_by_a_device_that_knows_nothing():
    assert unmet(WindowRules(), BLIND) == []


def test_every_condition_that_does_not_hold_is_named_with_what_is():
    busy = Conditions(minute_of_day=14 * 60 + 5, idle_s=3.2, is_plugged_in=False, hottest_c=61.25)

    assert unmet(ALL_RULES, busy) == [
        "the hours 02:00-04:00 (now 14:05)",
        "60 s without a request or a person (now 3 s)",
        "mains power (now on battery)",
        "less than 50 degrees Celsius (now 61.2)",
    ]


def test_what_is_not_known_does_not_hold_and_says_why():
    reasons = (
        ("minute_of_day", "the clock is wrong"),
        ("is_plugged_in", "BAT0 says nothing"),
        ("hottest_c", "no zone"),
    )

    assert unmet(ALL_RULES, replace(BLIND, idle_s=60.0, unknown=reasons)) == [
        "the hours 02:00-04:00 (the clock is wrong)",
        "mains power (BAT0 says nothing)",
        "less than 50 degrees Celsius (no zone)",
    ]
    assert unmet(ALL_RULES, replace(BLIND, idle_s=60.0)) == [
        "the hours 02:00-04:00 (the time is not known)",
        "mains power (the power source is not known)",
        "less than 50 degrees Celsius (the temperature is not known)",
    ]


def test_a_limit_is_not_below_itself():
    assert unmet(WindowRules(cool_below_c=50.0), replace(CALM, hottest_c=50.0))
    assert not unmet(WindowRules(idle_s=60.0), replace(CALM, idle_s=60.0))


def test_of_several_rule_sets_each_counts_for_as_long_as_it_may():
    device = WindowRules(plugged_in=True, max_wait_s=100.0)
    fleet = WindowRules(cool_below_c=10.0, plugged_in=True, max_wait_s=200.0)
    unplugged = replace(CALM, is_plugged_in=False)

    def waits(waited_s):
        return reasons_to_wait((device, fleet), unplugged, waited_s=waited_s, is_overridden=False)

    warm = "less than 10 degrees Celsius (now 30.0)"
    assert waits(99.0) == waits(100.0) == ["mains power (now on battery)", warm]
    assert waits(200.0) == []


def test_a_wait_without_a_longest_time_lasts():
    rules = WindowRules(plugged_in=True, max_wait_s=0.0)

    assert reasons_to_wait((rules,), BLIND, waited_s=1e12, is_overridden=False)


@given(rules=st.lists(RULES, max_size=3).map(tuple), conditions=CONDITIONS, waited_s=st.floats(0, 7200))
def test_more_rules_never_open_a_window_and_an_operator_always_does(rules, conditions, waited_s):
    reasons = reasons_to_wait(rules, conditions, waited_s=waited_s, is_overridden=False)

    for i in range(len(rules)):
        fewer = reasons_to_wait(rules[:i] + rules[i + 1 :], conditions, waited_s=waited_s, is_overridden=False)
        assert set(fewer) <= set(reasons)
    assert len(set(reasons)) == len(reasons)
    assert reasons_to_wait(rules, conditions, waited_s=waited_s, is_overridden=True) == []


@given(rules=RULES, conditions=CONDITIONS)
def test_knowing_less_never_opens_a_window(rules, conditions):
    blind = replace(conditions, minute_of_day=None, is_plugged_in=None, hottest_c=None)

    assert len(unmet(rules, conditions)) <= len(unmet(rules, blind))
