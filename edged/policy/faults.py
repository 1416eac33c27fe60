"""What is wrong with a policy whose types are right: what types cannot say. Pure; each problem names its rule or test, and the key.

(1) names        each rule and each test has a name of its own; ``run-best`` is edged's
(2) conditions   quantities exist and can be asked for that
(3) actions      at most one of deny, defer_s and offload = "prefer"
(4) numbers      finite; TOML has inf and nan
(5) reach        no rule stands behind another that applies whenever it would
(6) tests        what is given can be read, and what is expected can be
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Final, get_args

from edged.bundle.manifest import Precision
from edged.errors import Problem
from edged.policy.combine import RUN_BEST
from edged.policy.conditions import compile_condition
from edged.policy.document import Alternative, PolicyFile, PolicyTest, Rule, Then
from edged.policy.given import given_problems

_PRECISIONS: Final = get_args(Precision)
_NUMBERS: Final = ("max_latency_ms", "max_watts", "max_rate_per_s")


def problems_of(policy: PolicyFile) -> list[Problem]:
    """Return everything that is wrong with a policy, in the order of its rules and tests."""
    return [*_name_problems(policy), *_rules_problems(policy), *_tests_problems(policy)]


def place_of_rule(name: str) -> str:
    """Return what problems of a rule begin with."""
    return f'rule "{name}"'


def place_of_test(name: str) -> str:
    """Return what problems of a test begin with."""
    return f'test "{name}"'


def _name_problems(policy: PolicyFile) -> Iterator[Problem]:
    for name, count in Counter(rule.name for rule in policy.rules).items():
        if name == RUN_BEST.name:
            yield Problem(
                pointer=place_of_rule(name), expected="expected another name; edged has a rule of its own with this one"
            )
        if count > 1:
            yield Problem(pointer=place_of_rule(name), expected="expected one rule with this name", found=str(count))
    for name, count in Counter(test.name for test in policy.tests).items():
        if count > 1:
            yield Problem(pointer=place_of_test(name), expected="expected one test with this name", found=str(count))


def _rules_problems(policy: PolicyFile) -> Iterator[Problem]:
    for i, rule in enumerate(policy.rules):
        yield from _condition_problems(rule)
        yield from then_problems(rule.then, f"{place_of_rule(rule.name)}: then")
        if (earlier := _in_front(policy.rules[:i], rule)) is not None:
            yield Problem(
                pointer=place_of_rule(rule.name),
                expected=f"expected a rule that can be reached; {earlier} is before it and applies whenever this one would",
            )


def _condition_problems(rule: Rule) -> Iterator[Problem]:
    for i, alternative in enumerate(rule.when):
        place = "when" if len(rule.when) == 1 else f"when.{i}"
        for name, condition in alternative.items():
            try:
                compile_condition(name, condition)
            except ValueError as exc:
                pointer = f"{place_of_rule(rule.name)}: {place}.{name}"
                yield Problem(pointer=pointer, expected=str(exc), found=repr(condition))


def then_problems(then: Then, place: str) -> Iterator[Problem]:
    """Find what is wrong with what a rule asks for.

    Args:
        then: Whose types are right.
        place: What problems begin with.
    """
    actions = _actions(then)
    if len(actions) > 1:
        expected = 'expected at most one of deny, defer_s and offload = "prefer"'
        yield Problem(pointer=place, expected=expected, found=" and ".join(actions))
    for name in _NUMBERS:
        value: float | None = getattr(then, name)
        if value is not None and not math.isfinite(value):
            yield Problem(pointer=f"{place}.{name}", expected="expected a finite number", found=str(value))


def _actions(then: Then) -> list[str]:
    said = {
        "deny": then.deny is not None,
        "defer_s": then.defer_s is not None,
        'offload = "prefer"': then.offload == "prefer",
    }
    return [name for name, is_said in said.items() if is_said]


def _in_front(earlier: tuple[Rule, ...], rule: Rule) -> str | None:
    """Name what applies whenever a rule would: one rule without conditions, or rules that ask for less in each of its cases."""
    always = next((before.name for before in earlier if not before.when), None)
    if always is not None:
        return place_of_rule(always)
    if not rule.when:
        return None
    names = [next((name for name, asked in _cases(earlier) if _asks_no_more(asked, case)), None) for case in rule.when]
    found = [name for name in dict.fromkeys(names) if name is not None]
    return None if None in names else " and ".join(place_of_rule(name) for name in found)


def _cases(rules: tuple[Rule, ...]) -> Iterator[tuple[str, Alternative]]:
    for rule in rules:
        for alternative in rule.when:
            yield rule.name, alternative


def _asks_no_more(asked: Alternative, case: Alternative) -> bool:
    return all(name in case and case[name] == condition for name, condition in asked.items())


def _tests_problems(policy: PolicyFile) -> Iterator[Problem]:
    names = {RUN_BEST.name, *(rule.name for rule in policy.rules)}
    for test in policy.tests:
        place = place_of_test(test.name)
        for problem in given_problems(test.given):
            yield Problem(pointer=f"{place}: given.{problem.pointer}", expected=problem.expected, found=problem.found)
        yield from _variants_problems(test)
        if test.expect.rule is not None and test.expect.rule not in names:
            found = test.expect.rule
            yield Problem(
                pointer=f"{place}: expect.rule",
                expected=f"expected a rule of this file or {RUN_BEST.name}",
                found=found,
            )


def _variants_problems(test: PolicyTest) -> Iterator[Problem]:
    pointer = f"{place_of_test(test.name)}: variants"
    wrong = [name for name in test.variants if name not in _PRECISIONS]
    if wrong or not test.variants or len(set(test.variants)) < len(test.variants):
        yield Problem(
            pointer=pointer,
            expected=f"expected some of {', '.join(_PRECISIONS)}, each once",
            found=", ".join(test.variants) or "none",
        )
