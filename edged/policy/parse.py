"""From a policy's text to the policy, with everything that is wrong with it at once. Pure.

Problems name the rule or the test they are in, and the key: ``rule "hot": when.thermal: expected ...``.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, TypeVar

from edged.codec import convert
from edged.errors import PolicyError, Problem
from edged.policy.document import PolicyFile, PolicyTest, Rule
from edged.policy.faults import condition_problems, place_of_rule, place_of_test, problems_of, situation_problems

T = TypeVar("T")

MAX_POLICY_FILE_BYTES: Final = 1 << 18
HINT: Final = "docs/policy.md of the package edged says how a policy is written."

_PLACE: Final = re.compile(r"/(rule|test)/(\d+)(?:/(.*))?\Z")
_DOTTED: Final = re.compile(r"/(?:when/\d+|given)/(flag|label)\Z")
_IN_TOML: Final = {"expected array": "expected a list, in [ ]", "expected object": "expected a table, in { }"}
"""What types are called here."""
_PLACES: Final = {"rule": place_of_rule, "test": place_of_test}


def parse_policy(text: bytes, *, source: str) -> PolicyFile:
    """Read a policy, as TOML in UTF-8.

    Args:
        text: The file's bytes.
        source: What to call it in errors.

    Raises:
        PolicyError: It is no TOML, or no policy.
    """
    try:
        table = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as exc:  # not UTF-8, not TOML, a date that is none, or nested too deep
        raise PolicyError(
            source, [Problem(pointer="file", expected="expected TOML", found=f"what is none: {exc}")], hint=HINT
        ) from exc
    try:
        policy = convert(PolicyFile, table, source=source, error=PolicyError)
    except PolicyError as exc:
        problems = [_placed(problem, table) for problem in exc.problems]
        raise PolicyError(source, [*problems, *_further_problems(table)], hint=HINT) from exc
    check_faults(policy, source=source)
    return policy


def check_faults(policy: PolicyFile, *, source: str) -> None:
    """Make sure that there is nothing wrong with a policy whose types are right.

    Raises:
        PolicyError: There is; every problem is named.
    """
    if problems := problems_of(policy):
        raise PolicyError(source, problems, hint=HINT)


def _further_problems(table: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what else is wrong in a policy that has wrong types: in conditions and tests whose own types are right."""
    for rule in _partly(Rule, table.get("rule"), "when"):
        yield from condition_problems(rule)
    for test in _partly(PolicyTest, table.get("test"), "given", {"expect": {}}):
        yield from situation_problems(test)


def _partly(
    type_: type[T], items: object, key: str, others: Mapping[str, object] = MappingProxyType({})
) -> Iterator[T]:
    """Give the items of a list that can be read when they have nothing but a name, one key, and what they cannot be without."""
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            with suppress(PolicyError):
                part = {name: item[name] for name in ("name", key) if name in item}
                yield convert(type_, {**part, **others}, source="", error=PolicyError)


def _placed(problem: Problem, table: Mapping[str, Any]) -> Problem:
    """Say where a problem is in words of the file, in place of a pointer."""
    match = _PLACE.match(problem.pointer)
    if match is None:
        place = problem.pointer.removeprefix("/").replace("/", ".") or "file"
    else:
        kind, number, key = match.groups()
        place = _PLACES[kind](_name(table[kind], int(number))) + (f": {key.replace('/', '.')}" if key else "")
    expected = _IN_TOML.get(problem.expected, problem.expected)
    if (dotted := _DOTTED.search(problem.pointer)) and problem.found.startswith("{"):
        # TOML reads a dot without quotes as a table in a table.
        expected = f'expected a name in quotes, as in "{dotted[1]}.NAME" = ...'
    return Problem(pointer=place, expected=expected, found=problem.found)


def _name(items: Sequence[Any], i: int) -> str | int:
    """Return what an item calls itself, else its place, counted from 1."""
    name = items[i].get("name") if isinstance(items[i], dict) else None
    return name if isinstance(name, str) else i + 1
