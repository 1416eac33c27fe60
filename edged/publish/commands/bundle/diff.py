"""``edge-publish bundle diff``: say what changed from one bundle to another."""

import argparse
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from edged.bundle.manifest import Manifest
from edged.cli.exits import Exit
from edged.cli.table import printable
from edged.publish.commands.bundle.manifests import BUNDLE, manifest_of
from edged.publish.commands.options.printing import add_json, print_json, print_line
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.review.diff import Change, differences

TEXT = """\
Say what changed from one bundle to another: files and sizes, tensors, the steps around the model, budgets, tolerances, and measures with
whether they became better or worse. Variants are compared with those of the same name, whatever the version.

Exit code 0 says that the manifests are the same, 1 that they differ (as diff(1) has it), 2 or 10 that one of them cannot be read.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "diff",
        summary="say what changed from one bundle to another",
        text=TEXT,
        example="edge-publish bundle diff build/gauge-1.0.0 build/gauge-1.1.0.edgeb",
    )
    parser.add_argument("before", type=Path, metavar=BUNDLE, help="the bundle as it was")
    parser.add_argument("after", type=Path, metavar=BUNDLE, help="the bundle as it is now")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the changes."""
    before, after = manifest_of(args.before), manifest_of(args.after)
    changes = differences(before, after)
    if args.json:
        ends = {"from": _named(before), "to": _named(after)}
        print_json({"schema": 1, **ends, "changes": [asdict(change) for change in changes]})
    elif not changes:
        print_line("no differences")
    else:
        for section, items in groupby(changes, key=lambda change: change.section):
            print_line(printable(section))
            for change in items:
                print_line(printable(f"  {_line(change)}"))
    # The one verb for which a difference is an answer and no failure; scripts know the code from diff(1).
    return Exit.FAILED if changes else Exit.OK


def _named(manifest: Manifest) -> dict[str, str]:
    return {"name": manifest.name, "version": manifest.version}


def _line(change: Change) -> str:
    if change.before is None:
        return f"+ {change.subject}: {change.after}"
    if change.after is None:
        return f"- {change.subject}: {change.before}"
    verdict = f" ({change.verdict})" if change.verdict else ""
    return f"~ {change.subject}: {change.before} -> {change.after}{verdict}"
