"""``edge-publish bundle scan``: look for secrets in a bundle."""

import argparse
from pathlib import Path

from edged.publish.commands.bundle.whole import opened
from edged.publish.commands.options.printing import add_json, print_json, print_line, report
from edged.publish.commands.options.secrets import add_allowed, read_allowed
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.secrets import Finding, judge, scan_directory

TEXT = """\
Look for secrets in every file of a bundle: private keys, tokens and keys of cloud services, passwords, and strings that look random.
Building and publishing a bundle do the same. A finding shows its place and its fingerprint, never the secret. Exit code 10 says that
something was found that is not allowed.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "scan",
        summary="look for secrets in a bundle",
        text=TEXT,
        example="edge-publish bundle scan build/magika-1.0.0.edgeb",
    )
    parser.add_argument("bundle", type=Path, metavar="DIR|FILE.edgeb", help="a bundle directory or a packed bundle")
    add_allowed(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Scan the bundle; what is found and not allowed is an error."""
    allowed = read_allowed(args)
    with opened(args.bundle) as (directory, manifest):
        findings = scan_directory(directory, manifest)
    if args.json:
        print_json({"schema": 1, "findings": [_as_json(finding, allowed) for finding in findings]})
    else:
        for finding in findings:
            print_line(f"{finding.fingerprint}  {finding}")
    name = f"{manifest.name} {manifest.version}"
    judge(findings, name=name, report=report, allowed=allowed)
    if not findings and not args.json:
        print_line(f"{name}: nothing that looks like a secret")


def _as_json(finding: Finding, allowed: dict[str, str]) -> dict[str, object]:
    return {
        "fingerprint": finding.fingerprint,
        "rule": finding.rule,
        "what": finding.what,
        "path": finding.path,
        "offset": finding.offset,
        "line": finding.line,
        "excerpt": finding.excerpt,
        "allowed": allowed.get(finding.fingerprint),
    }
