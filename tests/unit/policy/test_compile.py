"""Rules ready to be asked, and the order of all rules of a device."""

import pytest

from edged.policy.combine import RUN_BEST, combine
from edged.policy.compile import compile_rule
from edged.policy.document import PolicyFile, Rule, Then
from edged.policy.given import situation_of


def ask(rule, **given):
    situation = situation_of(given)
    ranked = compile_rule(rule, "local", dwell_s=30.0)
    return ranked.applies(situation.context, situation.ask), ranked.why_not(situation.context, situation.ask)


HOT_OR_LOW = Rule(name="hot-or-low", when=({"thermal": ">= serious"}, {"power": "battery", "battery_percent": "< 15"}))


def policy(name, *rules, dwell_s=30.0):
    return PolicyFile(schema=1, name=name, dwell_s=dwell_s, rules=tuple(Rule(name=rule) for rule in rules))


def test_a_rule_applies_by_any_of_its_alternatives_and_says_by_which():
    assert ask(HOT_OR_LOW, thermal="serious")[0] == "thermal is serious (>= serious)"
    assert ask(HOT_OR_LOW, power="battery:10")[0] == "power is battery, battery_percent is 10 (< 15)"


def test_all_conditions_of_an_alternative_must_hold():
    assert ask(HOT_OR_LOW, power="mains:10")[0] is None


def test_what_each_alternative_lacks_is_said():
    assert ask(HOT_OR_LOW, power="battery:50", thermal="unknown") == (
        None,
        ("thermal is not known: it was given as unknown", "battery_percent is 50 (not < 15)"),
    )


def test_a_rule_without_conditions_always_applies():
    assert ask(Rule(name="all"), thermal="unknown") == ("it has no conditions", ())


def test_who_is_nearer_to_the_device_is_asked_first():
    rules = combine(
        overrides=(Rule(name="override", when=({"model": "gauge"},), then=Then(deny="no")),),
        local=policy("site", "l1", "l2"),
        remote=policy("fleet", "r1"),
        packaged=policy("default", "p1"),
    )

    assert [(ranked.origin, ranked.rule.name) for ranked in rules] == [
        ("override", "override"),
        ("local", "l1"),
        ("local", "l2"),
        ("remote", "r1"),
        ("packaged", "p1"),
        ("built-in", RUN_BEST.name),
    ]
    assert rules[0].dwell_s == 0.0


def test_without_any_policy_the_built_in_rule_is_left():
    (only,) = combine()
    situation = situation_of({"thermal": "unknown"})

    assert only.rule is RUN_BEST
    assert only.applies(situation.context, situation.ask) is not None


@pytest.mark.parametrize(
    ("policies", "dwell_s"),
    [
        ({"packaged": policy("default", "p", dwell_s=60.0), "local": policy("site", "l", dwell_s=5.0)}, 60.0),
        ({"local": policy("site", "l", dwell_s=5.0)}, 5.0),
        ({}, 30.0),
    ],
)
def test_the_built_in_rule_dwells_as_the_policy_before_it(policies, dwell_s):
    assert combine(**policies)[-1].dwell_s == dwell_s
