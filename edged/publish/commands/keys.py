"""``edge-publish keys show``: which keys are in a directory."""

import argparse

from edged.errors import UsageError
from edged.publish.commands.options import Verbs, add_json, add_keys, add_verb, open_keyring, print_json, print_line


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    keys = add_verb(verbs, "keys", summary="look at signing keys")
    actions = keys.add_subparsers(title="actions", metavar="ACTION", required=True)
    show = add_verb(
        actions,
        "show",
        summary="list the keys in a directory with their TUF key IDs",
        text="List the keys in a directory with their TUF key IDs. Private parts are never shown.",
        example="edge-publish keys show --keys keys",
    )
    add_keys(show)
    add_json(show)
    show.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """List the keys."""
    if not args.keys.is_dir():
        raise UsageError(
            f"there is no directory {args.keys}", hint="Keys are made by: edge-publish init DIR --keys KEYS."
        )
    keyring = open_keyring(args)
    rows = [
        {"name": n, "keyid": keyring.public(n).keyid, "encrypted": keyring.is_encrypted(n)} for n in keyring.names()
    ]
    if args.json:
        print_json({"schema": 1, "keys": rows})
        return
    width = max((len(str(row["name"])) for row in rows), default=0)
    for row in rows:
        print_line(f"{row['name']:<{width}}  {row['keyid']}{'  encrypted' if row['encrypted'] else ''}")
