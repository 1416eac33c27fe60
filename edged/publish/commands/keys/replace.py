"""``edge-publish keys replace``: give roles other than root new keys."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from edged.cli.exits import Exit
from edged.publish.commands.options.expiry import add_expiry, read_expiry
from edged.publish.commands.options.keys import add_keys, open_keyring
from edged.publish.commands.options.printing import print_line, report
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.root import texts
from edged.publish.root.replacing import replace_keys

TEXT = """\
Make new keys in place of stolen or lost ones, and sign everything with them that the old ones signed: devices trust the old keys no more
from their next poll on. Names are targets, snapshot, timestamp, ops, stop and model-NAME; for root keys there is root rotate.

Name all keys that a thief may have, at once. New keys of timestamp or snapshot also undo versions that a thief counted up.

The keys of targets, snapshot and timestamp are named by the root, so its holders sign, as for root rotate: root keys in --keys sign at
once; for the others the command says how, ends with exit code 6, and goes on when it is run again with the signatures. Until then the old
keys go on. For ops, stop and models the targets key is needed. Keys needed besides: snapshot and timestamp.

Old private keys that are here go to replaced/ in --keys.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "replace",
        summary="replace stolen or lost keys of roles other than root",
        text=TEXT,
        example="edge-publish keys replace repo snapshot timestamp ops --keys keys",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="the repository")
    parser.add_argument("names", nargs="+", metavar="NAME", help="which keys")
    add_keys(parser)
    add_expiry(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Replace the keys."""
    keys = open_keyring(args)
    result = replace_keys(
        args.directory, keys, args.names, now=datetime.now(UTC), expiry=read_expiry(args), report=report
    )
    if result.signing is not None:
        lines = texts.waiting(result.signing)
    else:
        lines = texts.replaced(keys, result.names, result.signed, result.replaced)
    for line in lines:
        print_line(line)
    return Exit.OK if result.signing is None else Exit.DEGRADED
