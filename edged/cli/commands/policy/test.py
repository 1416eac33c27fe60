"""``edgectl policy test``: run the tests that policies carry; no daemon is asked."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from edged.cli.exits import Exit, print_error
from edged.cli.folding import fitted
from edged.cli.policy_file import read_policy
from edged.cli.table import align, printable
from edged.cli.words import count
from edged.codec import Document, encode_readable
from edged.errors import PolicyError
from edged.policy.document import PolicyFile
from edged.select.check import Case, run_tests


class CaseStatus(Document, frozen=True, kw_only=True):
    """What came of one test."""

    name: str
    passed: bool
    rule: str
    action: str
    variant: str | None
    failures: tuple[str, ...]
    """What was expected and what was decided instead."""
    reasons: tuple[str, ...]
    """Of the decision."""


class FileStatus(Document, frozen=True, kw_only=True):
    """What came of one file."""

    file: str
    problems: tuple[str, ...] = ()
    """Why it is no policy; then there are no tests."""
    tests: tuple[CaseStatus, ...] = ()


class TestsDocument(Document, frozen=True, kw_only=True):
    """What ``edgectl policy test --json`` prints."""

    schema: Literal[1] = 1
    files: tuple[FileStatus, ...]


def add(verbs: Any) -> None:
    """Add the verb to the parser of ``edgectl policy``."""
    parser: argparse.ArgumentParser = verbs.add_parser("test", help="run the tests of policies, without a daemon")
    parser.add_argument("file", metavar="FILE", nargs="+", type=Path, help="a policy")
    parser.add_argument("--json", action="store_true", help="print one document with all cases")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Test every file; fails when any of them is no policy, or a test fails."""
    statuses: list[FileStatus] = []
    is_good = True
    for path in args.file:
        try:
            policy = read_policy(path)
        except PolicyError as exc:
            is_good = False
            statuses.append(FileStatus(file=_shown(path), problems=tuple(map(str, exc.problems))))
            print_error(exc)
            continue
        cases = run_tests(policy)
        is_good = is_good and not any(case.failures for case in cases)
        statuses.append(FileStatus(file=_shown(path), tests=tuple(map(_status, cases))))
        if not args.json:
            print(fitted(_page(path, policy, cases)), end="")
    if args.json:
        print(encode_readable(TestsDocument(files=tuple(statuses))).decode(), end="")
    return Exit.OK if is_good else Exit.FAILED


def _shown(path: Path) -> str:
    # A file's name is bytes; those that are not UTF-8 are written as escapes.
    return str(path).encode(errors="backslashreplace").decode()


def _status(case: Case) -> CaseStatus:
    decision = case.decision
    return CaseStatus(
        name=case.test.name,
        passed=not case.failures,
        rule=decision.rule,
        action=decision.action.value,
        variant=decision.variant,
        failures=tuple(map(str, case.failures)),
        reasons=decision.reasons,
    )


def _page(path: Path, policy: PolicyFile, cases: Sequence[Case]) -> str:
    passed = sum(not case.failures for case in cases)
    table = align([_row(case) for case in cases], indent="  ").splitlines()
    lines = [line for row, case in zip(table, cases, strict=True) for line in (row, *_failures(case))]
    head = f"{path}: policy {policy.name}, {count(len(policy.rules), 'rule')}"
    end = f"{passed} of {count(len(cases), 'test')} passed" if cases else "it has no tests"
    return "".join(f"{printable(line)}\n" for line in (head, *lines, f"  {end}"))


def _row(case: Case) -> tuple[str, ...]:
    decision = case.decision
    return "FAIL" if case.failures else "ok", f"{decision.action.value}, by {decision.rule}", case.test.name


def _failures(case: Case) -> Iterator[str]:
    """Say what went wrong in a test, and why it was decided so."""
    if case.failures:
        for line in (*map(str, case.failures), *case.decision.reasons):
            yield f"          {line}"
