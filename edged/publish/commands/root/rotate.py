"""``edge-publish root rotate``: replace root keys, or renew the root."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from edged.cli.exits import Exit
from edged.publish.commands.options.expiry import add_expiry, read_expiry
from edged.publish.commands.options.keys import KEYS_HELP, open_keyring
from edged.publish.commands.options.printing import print_line, report
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.keys.files import read_public
from edged.publish.repository.state import metadata_path
from edged.publish.root import texts
from edged.publish.root.rotation import rotate_root

TEXT = """\
Make the next version of the root: with a key added or dropped (a lost one: drop it and add its successor), or with the same keys, so
that it holds for another year. Enough of the present root keys must sign it, and enough of the new ones. Keys in --keys sign at once;
for the others the command says how their holders sign, ends with exit code 6, and goes on when it is run again with the signatures.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "rotate",
        summary="replace root keys, or renew the root",
        text=TEXT,
        example="edge-publish root rotate repo --drop 4f3a9c01 --add dora.pub",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="the repository")
    parser.add_argument("--keys", type=Path, metavar="DIR", help=KEYS_HELP)
    parser.add_argument(
        "--add", type=Path, action="append", default=[], metavar="FILE", help="public part of a new root key (NAME.pub)"
    )
    parser.add_argument(
        "--drop",
        action="append",
        default=[],
        metavar="KEYID",
        help="a root key to be trusted no more (8 digits will do)",
    )
    parser.add_argument("--threshold", type=int, metavar="N", help="how many root keys must sign from now on")
    add_expiry(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Make the next root."""
    signing = rotate_root(
        args.directory,
        open_keyring(args) if args.keys else None,
        add=[read_public(path) for path in args.add],
        drop=args.drop,
        threshold=args.threshold,
        now=datetime.now(UTC),
        expiry=read_expiry(args),
        report=report,
    )
    if signing.path is not None:
        for line in texts.waiting(signing):
            print_line(line)
        return Exit.DEGRADED
    print_line(
        f"{args.directory / metadata_path('root', signing.root.version)} holds until {signing.root.expires:%Y-%m-%d}"
    )
    return Exit.OK
