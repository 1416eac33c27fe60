"""``edge-publish resign``: keep a repository's signatures from expiring."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from edged.publish.commands.options import (
    Verbs,
    add_expiry,
    add_keys,
    add_verb,
    open_keyring,
    print_line,
    read_expiry,
    report,
)
from edged.publish.repository import resign

TEXT = """\
Sign again what has less than half of its time left, as far as its keys are here. Run it from a timer twice a day: the timestamp holds
one day, so that devices notice a mirror that no longer follows.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_verb(
        verbs,
        "resign",
        summary="renew signatures before they expire",
        text=TEXT,
        example="edge-publish resign repo --keys keys",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="the repository")
    add_keys(parser)
    add_expiry(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Renew the signatures."""
    result = resign(args.directory, open_keyring(args), now=datetime.now(UTC), expiry=read_expiry(args), report=report)
    print_line(f"{args.directory}: signed {', '.join(result.signed) or 'nothing, all of it holds long enough'}")
