"""What is wrong with a policy whose types are right: what types cannot say. Pure; each problem names its rule or test, and the key.

(1) names        each rule and each test has a name of its own; ``run-best`` is edged's
(2) conditions   quantities exist and can be asked for that
(3) actions      at most one of deny, defer_s and offload = "prefer"
(4) numbers      finite; TOML has inf and nan
(5) sizes        not so many alternatives that a device would need long to ask them, or to find out (6)
(6) reach        no rule stands behind another that applies whenever it would
(7) tests        what is given can be read, what was measured was measured of variants that there are, and what is expected can be
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, get_args

from edged.bundle.manifest import Precision
from edged.errors import Problem
from edged.nearest import nearest
from edged.policy.combine import RUN_BEST
from edged.policy.conditions import compile_condition
from edged.policy.document import Alternative, Condition, Figures, PolicyFile, PolicyTest, Rule, Then
from edged.policy.given import given_problems
from edged.policy.quantities import quantity_of
from edged.policy.texts import written

_PRECISIONS: Final = get_args(Precision)
_NUMBERS: Final = ("max_latency_ms", "max_watts", "max_joules", "max_rate_per_s")

MOST_CASES: Final = 500
"""Alternatives of all rules together."""
MOST_SELECTORS: Final = 64
"""Of one rule."""


def problems_of(policy: PolicyFile) -> list[Problem]:
    """Return everything that is wrong with a policy, in the order of its rules and tests."""
    return [*_name_problems(policy), *_rules_problems(policy), *_tests_problems(policy)]


def place_of_rule(name: str | int) -> str:
    """Return what problems of a rule begin with; one without a name is called by its number, from 1."""
    return _place("rule", name)


def place_of_test(name: str | int) -> str:
    """Return what problems of a test begin with, likewise."""
    return _place("test", name)


def _place(kind: str, name: str | int) -> str:
    return f"{kind} number {name}" if isinstance(name, int) else f'{kind} "{name}"'


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
    cases = sum(len(rule.when) for rule in policy.rules)
    if cases > MOST_CASES:
        yield Problem(
            pointer="rule",
            expected=f"expected at most {MOST_CASES} alternatives in all rules together",
            found=str(cases),
        )
        return
    for i, rule in enumerate(policy.rules):
        yield from condition_problems(rule)
        yield from then_problems(rule.then, f"{place_of_rule(rule.name)}: then")
        if (earlier := _in_front(policy.rules[:i], rule)) is not None:
            yield Problem(
                pointer=place_of_rule(rule.name),
                expected=f"expected a rule that can be reached; {earlier} is before it and applies whenever this one would",
            )


def condition_problems(rule: Rule) -> Iterator[Problem]:
    """Find what is wrong with the conditions of a rule, whose types are right."""
    for i, alternative in enumerate(rule.when):
        place = "when" if len(rule.when) == 1 else f"when.{i}"
        for name, condition in alternative.items():
            try:
                compile_condition(name, condition)
            except ValueError as exc:
                pointer = f"{place_of_rule(rule.name)}: {place}.{name}"
                # Of a quantity that there is not, what is asked of it says nothing.
                found = "" if quantity_of(name) is None else written(condition)
                yield Problem(pointer=pointer, expected=str(exc), found=found)


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
    if len(then.variants) > MOST_SELECTORS:
        expected = f"expected at most {MOST_SELECTORS} selectors"
        yield Problem(pointer=f"{place}.variants", expected=expected, found=str(len(then.variants)))
    yield from _number_problems(then, _NUMBERS, place)


def _number_problems(value: Then | Figures, names: Sequence[str], place: str) -> Iterator[Problem]:
    for name in names:
        number: float | None = getattr(value, name)
        if number is not None and not math.isfinite(number):
            yield Problem(pointer=f"{place}.{name}", expected="expected a finite number", found=str(number))


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
    return all(name in case and _is_same(case[name], condition) for name, condition in asked.items())


def _is_same(one: Condition, other: Condition) -> bool:
    """Tell whether two conditions are written alike; of a flag, true is asked otherwise than 1 is."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _tests_problems(policy: PolicyFile) -> Iterator[Problem]:
    names = {RUN_BEST.name, *(rule.name for rule in policy.rules)}
    for test in policy.tests:
        place = place_of_test(test.name)
        yield from situation_problems(test)
        yield from _variants_problems(test)
        yield from _measured_problems(test)
        if test.expect.rule is not None and test.expect.rule not in names:
            near = nearest(test.expect.rule, sorted(names))
            yield Problem(
                pointer=f"{place}: expect.rule",
                expected=f"expected a rule of this file or {RUN_BEST.name}"
                + ("" if near is None else f" (did you mean {near}?)"),
                found=written(test.expect.rule),
            )


def situation_problems(test: PolicyTest) -> Iterator[Problem]:
    """Find what is wrong with what a test gives, whose types are right."""
    place = place_of_test(test.name)
    for problem in given_problems(test.given):
        yield Problem(pointer=f"{place}: given.{problem.pointer}", expected=problem.expected, found=problem.found)


def _variants_problems(test: PolicyTest) -> Iterator[Problem]:
    pointer = f"{place_of_test(test.name)}: variants"
    wrong = [name for name in test.variants if name not in _PRECISIONS]
    if wrong or not test.variants or len(set(test.variants)) < len(test.variants):
        yield Problem(
            pointer=pointer,
            expected=f"expected some of {', '.join(_PRECISIONS)}, each once",
            found=", ".join(test.variants) or "none",
        )


def _measured_problems(test: PolicyTest) -> Iterator[Problem]:
    place = f"{place_of_test(test.name)}: measured"
    for precision, figures in test.measured.items():
        if precision not in test.variants:
            expected = f"expected one of the test's variants, {', '.join(test.variants)}"
            yield Problem(pointer=place, expected=expected, found=precision)
        yield from _number_problems(figures, Figures.__struct_fields__, f"{place}.{precision}")
