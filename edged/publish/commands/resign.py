"""``edge-publish resign``: keep a repository's signatures from expiring."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from edged.cli.exits import Exit
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
from edged.publish.repository.operations import resign

TEXT = """\
Sign again what has less than half of its time left, as far as its keys are here. Run it from a timer twice a day: the timestamp holds
one day, so that devices notice a mirror that no longer follows. Exit code 6 says that more is due than the keys here can sign; each
such role is named with the day it expires.
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


def run(args: argparse.Namespace) -> Exit:
    """Renew the signatures, and name what could not be renewed."""
    result = resign(args.directory, open_keyring(args), now=datetime.now(UTC), expiry=read_expiry(args), report=report)
    print_line(f"{args.directory}: signed {', '.join(result.signed) or 'nothing'}")
    for role, expires in result.due:
        print_line(f"{role} expires on {expires:%Y-%m-%d}: bring its key")
    return Exit.DEGRADED if result.due else Exit.OK
