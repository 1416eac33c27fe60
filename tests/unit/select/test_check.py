"""A policy's own tests: what they find, and what is said of those that fail."""

from pathlib import Path

import pytest

from edged.errors import PolicyError
from edged.policy.parse import parse_policy
from edged.select.check import check_policy, made_up_variants, run_tests

POLICIES = Path(__file__).resolve().parents[3] / "policies"
RULES = """
schema = 1
name = "site"

[[rule]]
name = "hot"
when = [{ thermal = ">= serious" }]
then = { variants = ["int8"], scale = 0.5 }

[[rule]]
name = "late"
when = [{ hours = "22:00-05:00" }]
then = { defer_s = 60 }

[[rule]]
name = "frugal"
when = [{ power = "battery", battery_percent = "< 20" }]
then = { max_latency_ms = 80, max_watts = 4, max_joules = 0.5 }
"""


def failures(case):
    policy = parse_policy(f'{RULES}\n[[test]]\nname = "t"\n{case}'.encode(), source="site.toml")
    return [str(problem) for problem in run_tests(policy)[0].failures]


@pytest.mark.parametrize(
    "case",
    [
        'given = { thermal = "serious" }\nexpect = { rule = "hot", action = "run", variant = "int8", scale = 0.5 }',
        'given = { hours = "23:10" }\nexpect = { rule = "late", action = "defer", retry_after_s = 60 }',
        'expect = { rule = "run-best", variant = "quality" }',
        'expect = { variant = "made-up-*-fp32-any" }',
        'variants = ["int8", "bf16", "fp16"]\nexpect = { variant = "bf16" }',
        "expect = {}",
        'measured = { fp16 = { joules = 0.2 } }\ngiven = { power = "battery:9" }\nexpect = { rule = "frugal" }',
    ],
)
def test_a_test_that_expects_what_is_decided_passes(case):
    assert failures(case) == []


@pytest.mark.parametrize(
    ("case", "failure"),
    [
        ('given = { thermal = "serious" }\nexpect = { rule = "late" }', "rule: expected late, got hot"),
        ('given = { thermal = "serious" }\nexpect = { variant = "fp32" }', "variant: expected fp32, got int8"),
        ('given = { thermal = "serious" }\nexpect = { scale = 1.0 }', "scale: expected 1.0, got 0.5"),
        ('given = { hours = "23:10" }\nexpect = { action = "run" }', "action: expected run, got defer"),
        ('given = { hours = "23:10" }\nexpect = { retry_after_s = 30 }', "retry_after_s: expected 30.0, got 60.0"),
        ('given = { hours = "23:10" }\nexpect = { variant = "int8" }', "variant: expected int8, got none"),
        ("expect = { retry_after_s = 30 }", "retry_after_s: expected 30.0, got none"),
    ],
)
def test_a_test_that_expects_something_else_fails_with_what_was_decided(case, failure):
    assert failures(case) == [failure]


def test_a_policy_with_a_test_that_fails_is_refused_with_the_reason_of_the_decision():
    text = f'{RULES}\n[[test]]\nname = "cool at night"\ngiven = {{ hours = "23:10" }}\nexpect = {{ action = "run" }}'
    policy = parse_policy(text.encode(), source="site.toml")

    with pytest.raises(PolicyError) as caught:
        check_policy(policy, source="site.toml")

    assert str(caught.value) == (
        'site.toml: test "cool at night": action: expected run, '
        "got defer (rule late (local) applies: hours is 23:10 (22:00-05:00))"
    )


@pytest.mark.parametrize("file", sorted(POLICIES.glob("*.toml")), ids=lambda path: path.name)
def test_a_policy_that_comes_with_edged_does_what_its_tests_say(file):
    policy = parse_policy(file.read_bytes(), source=file.name)

    check_policy(policy, source=file.name)

    assert policy.name == file.stem


@pytest.mark.parametrize("file", sorted(POLICIES.glob("*.toml")), ids=lambda path: path.name)
def test_each_rule_of_a_policy_that_comes_with_edged_is_tested(file):
    policy = parse_policy(file.read_bytes(), source=file.name)

    assert {case.decision.rule for case in run_tests(policy)} >= {rule.name for rule in policy.rules}


@pytest.mark.parametrize("key", ["latency_ms", "watts", "joules"])
def test_what_a_test_says_was_measured_counts(key):
    """Each limit is one that fp16 is the only one to keep."""
    few, many = {"latency_ms": (70, 90), "watts": (3, 5), "joules": (0.2, 0.9)}[key]
    given = 'given = { power = "battery:9" }\n'
    measured = (
        f"measured = {{ fp32 = {{ {key} = {many} }}, fp16 = {{ {key} = {few} }}, int8 = {{ {key} = {many} }} }}\n"
    )

    assert failures(f'{given}{measured}expect = {{ variant = "fp16" }}') == []
    assert failures(f'{given}expect = {{ variant = "fp16" }}') == ["variant: expected fp16, got fp32"]


def test_variants_come_in_the_order_in_which_a_machine_prefers_them():
    names = [variant.precision for variant in made_up_variants(("int8", "fp16", "fp32"))]

    assert names == ["fp32", "fp16", "int8"]
