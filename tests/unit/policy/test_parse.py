"""Policies with mistakes: each is named with its rule or test and its key, and all of them at once."""

import pytest

from edged.errors import PolicyError
from edged.policy.parse import parse_policy

HEAD = 'schema = 1\nname = "site"\n'


def problems(text):
    """Return what is wrong with a policy, a line each."""
    with pytest.raises(PolicyError) as caught:
        parse_policy((HEAD + text).encode(), source="site.toml")
    return [str(problem) for problem in caught.value.problems]


def rule(name="hot", rest=""):
    return f'[[rule]]\nname = "{name}"\n{rest}\n'


def test_a_policy_without_mistakes_is_read():
    policy = parse_policy((HEAD + rule(rest='when = [{ thermal = ">= serious" }]')).encode(), source="site.toml")

    assert [found.name for found in policy.rules] == ["hot"]
    assert policy.rules[0].when == ({"thermal": ">= serious"},)


def test_a_message_begins_with_the_file_and_has_a_hint():
    with pytest.raises(PolicyError) as caught:
        parse_policy((HEAD + rule(rest="when = [{ throttled = 1 }]")).encode(), source="site.toml")

    assert str(caught.value) == 'site.toml: rule "hot": when.throttled: expected true, false or "unknown", got 1'
    assert "docs/policy.md" in caught.value.hint


@pytest.mark.parametrize("text", ["name = ", "\0", "a = 1979-02-31"])
def test_what_is_no_toml_says_where(text):
    (problem,) = problems(text)

    assert problem.startswith("file: expected TOML, got ")


def test_a_file_that_is_not_utf8_is_refused():
    with pytest.raises(PolicyError, match="expected TOML"):
        parse_policy(b"\xff\xfe", source="site.toml")


def test_problems_of_types_name_the_rule_and_the_key():
    text = rule("hot", "then = { defer_s = -1, scal = 0.5 }\nwhen = [{ thermal = 1979-05-27 }]")

    found = problems(text)

    assert any(line.startswith("rule \"hot\": then: 'scal' was unexpected; did you mean") for line in found)
    assert any(line.startswith('rule "hot": then.defer_s: expected above 0') for line in found)
    assert any(line.startswith('rule "hot": when.0.thermal: expected') for line in found)


def test_a_rule_without_a_name_is_called_by_its_place():
    (problem,) = problems(rule() + "[[rule]]\nthen = { scale = 0.5 }")

    assert problem == "rule \"number 2\": expected a key 'name'"


def test_all_mistakes_are_named_at_once():
    found = problems(
        rule("hot", 'when = [{ thermal = "hot" }, { batery_percent = "< 5" }]\nthen = { deny = "no", defer_s = 5 }')
        + rule("hot", "when = [{ throttled = true }]")
    )

    assert [line.partition(": expected")[0] for line in found] == [
        'rule "hot"',
        'rule "hot": when.0.thermal',
        'rule "hot": when.1.batery_percent',
        'rule "hot": then',
    ]


@pytest.mark.parametrize(
    ("then", "both"),
    [
        ('deny = "no", defer_s = 5', "deny and defer_s"),
        ('deny = "no", offload = "prefer"', 'deny and offload = "prefer"'),
        ('defer_s = 5, offload = "prefer"', 'defer_s and offload = "prefer"'),
    ],
)
def test_a_rule_does_one_thing(then, both):
    (problem,) = problems(rule(rest=f"then = {{ {then} }}"))

    assert problem.endswith(f"got {both}")


def test_a_deferral_may_fall_back_to_the_cloud():
    parse_policy((HEAD + rule(rest='then = { defer_s = 5, offload = "fall-back" }')).encode(), source="site.toml")


@pytest.mark.parametrize("key", ["max_latency_ms", "max_watts", "max_rate_per_s"])
def test_limits_are_finite(key):
    (problem,) = problems(rule(rest=f"then = {{ {key} = inf }}"))

    assert problem == f'rule "hot": then.{key}: expected a finite number, got inf'


def test_a_rule_of_edgeds_own_is_not_taken():
    (problem,) = problems(rule("run-best"))

    assert "edged has a rule of its own" in problem


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", "when = [{ throttled = true }]"),
        ("", ""),
        ("when = [{ throttled = true }]", 'when = [{ throttled = true, power = "battery" }]'),
        (
            'when = [{ throttled = true }, { link = "wifi" }]',
            'when = [{ link = "wifi", metered = false }, { throttled = true }]',
        ),
    ],
)
def test_a_rule_that_another_one_hides_is_named(first, second):
    (problem,) = problems(rule("first", first) + rule("second", second))

    assert problem.startswith('rule "second": expected a rule that can be reached; rule "first" is before it')


def test_two_rules_may_hide_a_third_together():
    (problem,) = problems(
        rule("hot", "when = [{ throttled = true }]")
        + rule("low", 'when = [{ power = "battery" }]')
        + rule("both", 'when = [{ throttled = true }, { power = "battery" }]')
    )

    assert 'rule "hot" and rule "low"' in problem


def test_a_rule_of_which_one_case_is_left_can_be_reached():
    text = rule("hot", "when = [{ throttled = true }]") + rule(
        "both", 'when = [{ throttled = true }, { power = "battery" }]'
    )

    parse_policy((HEAD + text).encode(), source="site.toml")


def case(rest):
    return f'[[test]]\nname = "t"\n{rest}\n'


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ('given = { thermal = "hot" }\nexpect = {}', 'test "t": given.thermal: expected nominal, fair'),
        ('given = { heat = "serious" }\nexpect = {}', 'test "t": given.heat: expected the name of a quantity'),
        ('expect = { rule = "hto" }', 'test "t": expect.rule: expected a rule of this file or run-best, got hto'),
        ('variants = ["int7"]\nexpect = {}', 'test "t": variants: expected some of fp32'),
        ('variants = ["int8", "int8"]\nexpect = {}', 'test "t": variants: expected some of fp32'),
        ("variants = []\nexpect = {}", 'test "t": variants: expected some of fp32'),
        ('expect = { action = "wait" }', 'test "t": expect.action: expected one of'),
    ],
)
def test_a_test_that_cannot_be_run_is_named(rest, problem):
    (found,) = problems(rule() + case(rest))

    assert found.startswith(problem)


def test_each_test_has_a_name_of_its_own():
    (problem,) = problems(rule() + case("expect = {}") + case("expect = {}"))

    assert problem == 'test "t": expected one test with this name, got 2'
