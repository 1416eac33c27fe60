"""Policies, whatever is written in them and wherever a device is: nothing but their own error, and always exactly one rule that decides."""

import math
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import PolicyError
from edged.policy.asked import ask_rules
from edged.policy.combine import combine
from edged.policy.conditions import compile_condition
from edged.policy.document import PolicyFile, Rule
from edged.policy.given import CALM, Situation, situation_of
from edged.policy.parse import parse_policy
from edged.policy.quantities import QUANTITIES, Kind
from edged.sense.context import Context
from edged.sense.reading import Reading, unknown

POLICIES = sorted((Path(__file__).resolve().parents[2] / "policies").glob("*.toml"))
RULES = {file.stem: combine(packaged=parse_policy(file.read_bytes(), source=file.name)) for file in POLICIES}

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)
VALUES = {
    Kind.BOOLEAN: st.booleans(),
    Kind.SET: st.sampled_from(["cpu", "cpu,gpu", "gpu,npu"]),
    Kind.HOURS: st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59)),
}
WRITTEN = st.one_of(
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**308, max_value=10**400),
    st.floats(),
    st.text(max_size=12),
    st.builds("{} {}".format, st.sampled_from(["<", "<=", ">", ">="]), NUMBERS | st.text(max_size=5)),
    st.lists(st.text(max_size=8), max_size=3).map(tuple),
    st.sampled_from(["unknown", "serious", ">= fair", "wifi", "22:00-05:00"]),
)


def values_of(quantity):
    words = st.sampled_from(quantity.words) if quantity.words else st.text(min_size=1, max_size=8)
    if quantity.kind is Kind.NUMBER:
        least, most = (None if math.isinf(limit) else limit for limit in (quantity.least, quantity.most))
        return st.floats(least, most, allow_nan=False, allow_infinity=False, width=32)
    return VALUES.get(quantity.kind, words)


SITUATIONS = st.fixed_dictionaries({}, optional={name: values_of(quantity) for name, quantity in QUANTITIES.items()})


@pytest.mark.parametrize("name", RULES)
@given(told=SITUATIONS)
def test_exactly_one_rule_decides_and_those_before_it_say_what_they_lack(name, told):
    asked = ask_rules(RULES[name], situation_of({key: value for key, value in told.items() if value != "unknown"}))

    verdicts = [item.verdict for item in asked]
    decides = verdicts.index("decides")
    assert verdicts == ["does-not-apply"] * decides + ["decides"] + ["not-asked"] * (len(asked) - decides - 1)
    assert all(item.why and all(item.why) for item in asked[: decides + 1])


def test_a_device_that_knows_nothing_runs_the_best_variant_by_default():
    nothing = Situation(context=Context(minute_of_day=unknown("no clock")))

    (decides,) = [item for item in ask_rules(RULES["default"], nothing) if item.verdict == "decides"]

    assert decides.ranked.rule.name == "run-best"


ORIGINS = ("override", "local", "remote", "packaged")


@given(applying=st.sets(st.sampled_from(ORIGINS)), there=st.sets(st.sampled_from(ORIGINS)))
def test_whoever_is_nearer_to_the_device_is_asked_first(applying, there):
    def policy(origin):
        when = ({f"flag.{origin}": True},)
        return PolicyFile(schema=1, name=origin, dwell_s=7.0, rules=(Rule(name=origin, when=when),))

    rules = combine(
        overrides=policy("override").rules if "override" in there else (),
        **{origin: policy(origin) if origin in there else None for origin in ORIGINS[1:]},
    )
    (decides,) = [
        item.ranked
        for item in ask_rules(rules, situation_of({f"flag.{origin}": True for origin in applying}))
        if item.verdict == "decides"
    ]

    assert decides.origin == next((origin for origin in ORIGINS if origin in applying & there), "built-in")
    assert [ranked.origin for ranked in rules] == [*(origin for origin in ORIGINS if origin in there), "built-in"]
    # Whoever overrides wants to see the end of it at once, too.
    assert all(ranked.dwell_s == 0.0 for ranked in rules if ranked.origin == "override")


READINGS = [field.name for field in fields(CALM) if isinstance(getattr(CALM, field.name), Reading)]


@given(told=SITUATIONS, forgotten=st.sets(st.sampled_from(READINGS)))
def test_what_is_not_known_makes_no_rule_of_the_default_policy_apply(told, forgotten):
    """A rule that holds although a sensor says nothing holds as well when it says something: none of them asks for the unknown."""
    situation = situation_of({key: value for key, value in told.items() if value != "unknown"})
    blank = {name: unknown("taken away") for name in forgotten}
    less = replace(situation, context=replace(situation.context, **blank))

    for ranked in RULES["default"]:
        if ranked.applies(less.context, less.ask) is not None:
            assert ranked.applies(situation.context, situation.ask) is not None


@given(name=st.sampled_from([*QUANTITIES, "flag.x", "label.y", "nothing"]), condition=WRITTEN, told=SITUATIONS)
def test_a_condition_is_refused_or_says_something_true(name, condition, told):
    try:
        compiled = compile_condition(name, condition)
    except ValueError:
        return
    situation = situation_of({key: value for key, value in told.items() if value != "unknown"})
    says = compiled.says(situation.context, situation.ask)

    assert says.startswith(name)
    assert compiled.holds(situation.context, situation.ask) == (
        "(not " not in says and (condition == "unknown" or "is not known" not in says)
    )


@given(text=st.text(max_size=200) | st.binary(max_size=200))
def test_what_is_no_policy_is_refused_as_one(text):
    data = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    with pytest.raises(PolicyError):
        parse_policy(data, source="x.toml")


LINES = st.lists(
    st.sampled_from(
        [
            "schema = 1",
            'name = "x"',
            "dwell_s = nan",
            "[[rule]]",
            'name = "a"',
            "when = [{ thermal = 1 }]",
            "when = [{}]",
            "when = {}",
            "when = [[]]",
            "when = [{ battery_percent = 1" + "0" * 400 + " }]",
            'when = [{ "flag.x" = 1' + "0" * 400 + " }]",
            "then = { scale = nan }",
            "then = { defer_s = inf }",
            "then = []",
            "[[test]]",
            "given = { thermal = 1979-05-27 }",
            'given = { thermal = ["x"] }',
            "expect = { rule = 1 }",
            "expect = {}",
            "variants = [1]",
            "[rule]",
        ]
    ),
    max_size=12,
)


@given(lines=LINES)
def test_a_policy_with_any_mistake_is_refused_as_one(lines):
    # Anything else than a policy or its error would fail here.
    with suppress(PolicyError):
        policy = parse_policy("\n".join(['schema = 1\nname = "x"', *lines]).encode(), source="x.toml")
        assert policy.name == "x"
