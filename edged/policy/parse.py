"""From a policy's text to the policy, with everything that is wrong with it at once. Pure.

Problems name the rule or the test they are in, and the key: ``rule "hot": when.thermal: expected ...``.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from edged.codec import convert
from edged.errors import PolicyError, Problem
from edged.policy.document import PolicyFile
from edged.policy.faults import place_of_rule, place_of_test, problems_of

MAX_POLICY_FILE_BYTES: Final = 1 << 18
HINT: Final = "docs/policy.md of the package edged says how a policy is written."

_PLACE: Final = re.compile(r"/(rule|test)/(\d+)(?:/(.*))?\Z")
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
            source, [Problem(pointer="file", expected="expected TOML", found=str(exc))], hint=HINT
        ) from exc
    try:
        policy = convert(PolicyFile, table, source=source, error=PolicyError)
    except PolicyError as exc:
        raise PolicyError(source, [_placed(problem, table) for problem in exc.problems], hint=HINT) from exc
    check_faults(policy, source=source)
    return policy


def check_faults(policy: PolicyFile, *, source: str) -> None:
    """Make sure that there is nothing wrong with a policy whose types are right.

    Raises:
        PolicyError: There is; every problem is named.
    """
    if problems := problems_of(policy):
        raise PolicyError(source, problems, hint=HINT)


def _placed(problem: Problem, table: Mapping[str, Any]) -> Problem:
    """Say where a problem is in words of the file, in place of a pointer."""
    match = _PLACE.match(problem.pointer)
    if match is None:
        place = problem.pointer.removeprefix("/").replace("/", ".") or "file"
    else:
        kind, number, key = match.groups()
        place = _PLACES[kind](_name(table[kind], int(number))) + (f": {key.replace('/', '.')}" if key else "")
    return Problem(pointer=place, expected=problem.expected, found=problem.found)


def _name(items: Sequence[Any], i: int) -> str:
    """Return what an item calls itself, else its place, counted from 1."""
    name = items[i].get("name") if isinstance(items[i], dict) else None
    return name if isinstance(name, str) else f"number {i + 1}"
