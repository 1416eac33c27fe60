"""``edge-publish keys show``: which keys are in a directory."""

import argparse

from edged.errors import UsageError
from edged.publish.commands.options.keys import add_keys
from edged.publish.commands.options.printing import add_json, print_json, print_line
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.keys.directory import Keyring

TEXT = """\
List the keys in a directory with their TUF key IDs. Private parts are never shown, and no passphrase is needed. A key whose private
part was moved away is shown as long as its public part (NAME.pub) is here.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "show",
        summary="list the keys in a directory with their TUF key IDs",
        text=TEXT,
        example="edge-publish keys show --keys keys",
    )
    add_keys(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """List the keys."""
    if not args.keys.is_dir():
        raise UsageError(
            f"there is no directory {args.keys}", hint="Keys are made by: edge-publish init DIR --keys KEYS."
        )
    keyring = Keyring(directory=args.keys)
    rows = [_row(keyring, name) for name in sorted({*keyring.names(), *keyring.public_names()})]
    if args.json:
        print_json({"schema": 1, "keys": rows})
        return
    width = max((len(str(row["name"])) for row in rows), default=0)
    for row in rows:
        notes = ["encrypted"] if row["encrypted"] else [] if row["private"] else ["public part only"]
        print_line("  ".join([f"{row['name']:<{width}}", str(row["keyid"]), *notes]))


def _row(keyring: Keyring, name: str) -> dict[str, object]:
    has_private = keyring.has(name)
    return {
        "name": name,
        "keyid": keyring.public(name).keyid,
        "private": has_private,
        "encrypted": has_private and keyring.is_encrypted(name),
    }
