"""Policies with mistakes: each is named with its rule or test and its key, and all of them at once."""

from typing import get_args

import pytest

from edged.bundle.manifest import Precision
from edged.errors import PolicyError
from edged.policy.parse import parse_policy

PRECISIONS = f"expected some of {', '.join(get_args(Precision))}, each once"
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


@pytest.mark.parametrize(
    "text", ["name = ", "\0", "a = 1979-02-31", f"a = {'[' * 100_000}"], ids=["value", "zero", "date", "too deep"]
)
def test_what_is_no_toml_says_where(text):
    (problem,) = problems(text)

    assert problem.startswith("file: expected TOML, got ")


@pytest.mark.parametrize("text", ["name = ", "rule = 5", 'rule = [{ name = "run-best" }]'])
def test_whatever_is_wrong_there_is_a_page_about_it(text):
    with pytest.raises(PolicyError) as caught:
        parse_policy((HEAD + text).encode(), source="site.toml")

    assert "docs/policy.md" in caught.value.hint


@pytest.mark.parametrize("kind", ["rule", "test"])
def test_an_item_that_is_no_table_is_called_by_its_place(kind):
    assert problems(f"{kind} = [5]") == [f"{kind} number 1: expected a table, in {{ }}, got 5"]


def test_what_the_file_itself_lacks_is_told_of_the_file():
    with pytest.raises(PolicyError, match=r"^site\.toml: file: expected a key 'name'$"):
        parse_policy(b"schema = 1", source="site.toml")


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

    assert problem == "rule number 2: expected a key 'name'"


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ('then = { variants = "int8" }', "then.variants: expected a list, in [ ], got 'int8'"),
        ("then = 5", "then: expected a table, in { }, got 5"),
        ("when = [{ throttled = 1 }]", 'when.throttled: expected true, false or "unknown", got 1'),
        ("when = [{ idle_s = true }]", "when.idle_s: expected a number (unit: s), a comparison"),
        ("when = [{ thermal = true }]", "when.thermal: expected nominal, fair, serious or critical, alone"),
        ('when = [{ hours = ["22:00-24:00"] }]', "when.hours: expected hours such as"),
        ('when = [{ termal = "serious" }]', "when.termal: expected the name of a quantity; did you mean thermal?"),
        ("when = [{}]", "when.0: expected at least 1 key, got {}"),
        ('then = { deny = "" }', "then.deny: expected at least 1 character, got ''"),
    ],
)
def test_mistakes_are_told_in_words_of_the_file(rest, problem):
    (found,) = problems(rule("hot", rest))

    assert found.startswith(f'rule "hot": {problem}')
    assert not any(foreign in found for foreign in ("array", "object", "True", "('", "got 'serious'"))


def test_a_schema_of_the_future_is_told_with_that_of_today():
    with pytest.raises(PolicyError, match=r"site\.toml: schema: expected 1, got 2"):
        parse_policy(HEAD.replace("schema = 1", "schema = 2").encode(), source="site.toml")


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
    ("text", "place"),
    [
        (rule(rest='when = [{ label.region = "eu" }]'), 'rule "hot": when.0.label'),
        ('[[test]]\nname = "t"\ngiven = { label.region = "eu" }\nexpect = {}\n', 'test "t": given.label'),
    ],
)
def test_a_dot_that_needs_quotes_is_explained(text, place):
    (problem,) = problems(text)

    assert problem == f"""{place}: expected a name in quotes, as in "label.NAME" = ..., got {{'region': 'eu'}}"""


def test_a_label_without_a_name_is_not_taken_for_a_dot_without_quotes():
    (problem,) = problems(rule(rest="when = [{ label = 1979-05-27 }]"))

    assert problem.startswith('rule "hot": when.0.label: expected')
    assert "label.NAME" not in problem


def test_what_a_name_has_to_be_is_said_in_words():
    (problem,) = problems(rule("Too Hot"))

    assert problem.startswith('rule "Too Hot": name: expected a name of lower-case letters, digits and')


def test_mistakes_of_types_do_not_hide_the_others():
    found = problems(
        rule("hot", 'when = [{ termal = "serious" }]\nthen = { scal = 0.5 }')
        + rule("cold", 'when = { thermal = "nominl" }')
        + rule("low", 'when = [{ battery_percent = "15%" }]')
        + '[[test]]\nname = "warm"\ngiven = { headrom = 1 }\nexpect = { action = "runn" }\n'
        + '[[test]]\nname = "wrong"\ngiven = { headrom = [1] }\nexpect = {}\n'
    )

    assert {line.partition(": expected")[0] for line in found if "unexpected" not in line} == {
        'rule "cold": when',
        'test "warm": expect.action',
        'test "wrong": given.headrom',
        'rule "hot": when.termal',
        'rule "low": when.battery_percent',
        'test "warm": given.headrom',
    }
    assert len(found) == 7


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('"> 100"', "expected a comparison that can hold for a number from 0 to 100"),
        ('">= 100.1"', "expected a comparison that can hold for a number from 0 to 100"),
        ('"< 0"', "expected a comparison that can hold for a number from 0 to 100"),
        ("-1", "expected a number from 0 to 100"),
        ("150", "expected a number from 0 to 100"),
    ],
)
def test_what_can_never_be_is_not_asked(condition, expected):
    (problem,) = problems(rule(rest=f"when = [{{ battery_percent = {condition} }}]"))

    assert expected in problem


@pytest.mark.parametrize("condition", ['"<= 0"', '">= 100"', '"< 150"', '">= 0"', "0", "100"])
def test_what_can_be_is_asked_up_to_its_limits(condition):
    parse_policy((HEAD + rule(rest=f"when = [{{ battery_percent = {condition} }}]")).encode(), source="site.toml")


@pytest.mark.parametrize(
    ("given", "key"),
    [('power = "battery:150"', "power"), ("battery_percent = -1", "battery_percent"), ("idle_s = -0.1", "idle_s")],
)
def test_a_test_gives_what_can_be(given, key):
    (problem,) = problems(f'[[test]]\nname = "t"\ngiven = {{ {given} }}\nexpect = {{}}\n')

    assert problem.startswith(f'test "t": given.{key}: expected a number from 0')


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


@pytest.mark.parametrize("key", ["max_latency_ms", "max_watts", "max_joules", "max_rate_per_s"])
def test_limits_are_finite(key):
    (problem,) = problems(rule(rest=f"then = {{ {key} = inf }}"))

    assert problem == f'rule "hot": then.{key}: expected a finite number, got inf'


def test_a_rate_that_lets_next_to_nothing_begin_is_not_taken():
    (problem,) = problems(rule(rest="then = { max_rate_per_s = 0.0009 }"))

    assert "max_rate_per_s" in problem
    assert "0.001" in problem


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


@pytest.mark.parametrize(("first", "second"), [("1", "true"), ("false", "0")])
def test_a_flag_that_is_true_is_another_case_than_one_that_is_1(first, second):
    text = rule("number", f'when = [{{ "flag.x" = {first} }}]') + rule("switch", f'when = [{{ "flag.x" = {second} }}]')

    assert len(parse_policy((HEAD + text).encode(), source="site.toml").rules) == 2


def case(rest):
    return f'[[test]]\nname = "t"\n{rest}\n'


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        (
            'given = { thermal = "hot" }\nexpect = {}',
            "test \"t\": given.thermal: expected nominal, fair, serious or critical, got 'hot'",
        ),
        ('given = { heat = "serious" }\nexpect = {}', 'test "t": given.heat: expected the name of a quantity'),
        ('expect = { rule = "zzz" }', "test \"t\": expect.rule: expected a rule of this file or run-best, got 'zzz'"),
        (
            'expect = { rule = "hto" }',
            "test \"t\": expect.rule: expected a rule of this file or run-best (did you mean hot?), got 'hto'",
        ),
        ('variants = ["int7"]\nexpect = {}', f'test "t": variants: {PRECISIONS}, got int7'),
        ('variants = ["int8", "int8"]\nexpect = {}', f'test "t": variants: {PRECISIONS}, got int8, int8'),
        ("variants = []\nexpect = {}", f'test "t": variants: {PRECISIONS}, got none'),
        (
            "measured = { bf16 = { joules = 1 } }\nexpect = {}",
            'test "t": measured: expected one of the test\'s variants, fp32, fp16, int8, got bf16',
        ),
        (
            "measured = { int8 = { watts = inf } }\nexpect = {}",
            'test "t": measured.int8.watts: expected a finite number',
        ),
        ("measured = { int8 = { joules = -1 } }\nexpect = {}", 'test "t": measured.int8.joules: expected at least 0'),
        ('expect = { action = "wait" }', 'test "t": expect.action: expected one of'),
    ],
)
def test_a_test_that_cannot_be_run_is_named(rest, problem):
    (found,) = problems(rule() + case(rest))

    assert found.startswith(problem)


def test_each_rule_has_a_name_of_its_own():
    (problem,) = problems(rule(rest="when = [{ throttled = true }]") + rule(rest="when = [{ metered = true }]"))

    assert problem == 'rule "hot": expected one rule with this name, got 2'


def test_each_test_has_a_name_of_its_own():
    (problem,) = problems(rule() + case("expect = {}") + case("expect = {}"))

    assert problem == 'test "t": expected one test with this name, got 2'


def test_a_policy_that_would_take_a_device_long_to_ask_is_refused():
    def cases(rules, of_each):
        return "".join(
            rule(f"r{i}", "when = [" + ", ".join(f"{{ headroom = {i * 1000 + j} }}" for j in range(of_each)) + "]")
            for i in range(rules)
        )

    assert problems(cases(100, 6)) == ["rule: expected at most 500 alternatives in all rules together, got 600"]
    assert len(parse_policy((HEAD + cases(100, 5)).encode(), source="site.toml").rules) == 100


def test_a_rule_names_no_more_variants_than_a_device_can_ask_for_quickly():
    def naming(selectors):
        return rule(rest=f"then = {{ variants = {[f's{i}' for i in range(selectors)]} }}")

    assert problems(naming(65)) == ['rule "hot": then.variants: expected at most 64 selectors, got 65']
    assert len(parse_policy((HEAD + naming(64)).encode(), source="site.toml").rules[0].then.variants) == 64
