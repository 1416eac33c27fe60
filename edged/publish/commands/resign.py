"""``edge-publish resign``: keep a repository's signatures from expiring."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from edged.cli.exits import Exit
from edged.errors import UsageError
from edged.publish.commands.options.expiry import MAX_DAYS, add_expiry, read_expiry
from edged.publish.commands.options.keys import KEYS_HELP, open_keyring
from edged.publish.commands.options.printing import print_line, report
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.repository.expiring import NOTICE_DAYS, find_expiring
from edged.publish.repository.resigning import resign
from edged.publish.repository.state import read_state
from edged.publish.repository.tree import Tree

TEXT = """\
Sign again what has less than half of its time left, as far as its keys are here. Run it from a timer every few hours: the timestamp
holds one day, so that devices notice a mirror that no longer follows. Exit code 6 says that more is due than the keys here can sign; each
such role is named with the day it expires.

With --check nothing is signed and no key is needed: exit code 6 says that something expires before long, and who has to sign it. The
timestamp counts only when the timer that should sign it again does not: in the last quarter of its day.
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
    parser.add_argument("--keys", type=Path, metavar="DIR", help=f"{KEYS_HELP} (not with --check)")
    parser.add_argument("--check", action="store_true", help="sign nothing, and say what expires before long")
    parser.add_argument(
        "--within", type=int, default=NOTICE_DAYS, metavar="DAYS", help=f"how long before long is ({NOTICE_DAYS})"
    )
    add_expiry(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Renew the signatures, and name what could not be renewed."""
    if args.check:
        return _check(args)
    if args.keys is None:
        raise UsageError("expected --keys", hint="Or --check, to see what expires before long.")
    result = resign(args.directory, open_keyring(args), now=datetime.now(UTC), expiry=read_expiry(args), report=report)
    print_line(f"{args.directory}: signed {', '.join(result.signed) or 'nothing'}")
    for role, expires in result.due:
        print_line(f"{role} expires on {expires:%Y-%m-%d}: bring its key")
    return Exit.DEGRADED if result.due else Exit.OK


def _check(args: argparse.Namespace) -> Exit:
    if not 1 <= args.within <= MAX_DAYS:
        raise UsageError(f"--within {args.within}: expected days from 1 to {MAX_DAYS}", hint="For example: --within 14")
    state = read_state(Tree(args.directory))
    expiring = find_expiring(state, read_expiry(args), datetime.now(UTC), within_days=args.within)
    for role in expiring:
        print_line(role.sentence())
    if not expiring:
        print_line(f"{args.directory}: nothing has to be signed by hand within {args.within} days")
    return Exit.DEGRADED if expiring else Exit.OK
