"""``edge-publish init``: make a repository and its keys."""

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
from edged.publish.repository import init_repository
from edged.publish.state import metadata_path

TEXT = """\
Make a repository without models, and the ed25519 keys that are not there yet.

Devices start their trust from metadata/1.root.json: copy it to /etc/edged/root.json on each of them. Afterwards keep the root keys
and the targets key offline: publishing a new version of a known model needs neither. Running init again finishes one that was
interrupted, and changes nothing on a repository that is complete.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_verb(
        verbs,
        "init",
        summary="make a repository and its keys",
        text=TEXT,
        example="edge-publish init repo --keys keys --encrypt",
    )
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="the repository; everything in it may be served to anyone"
    )
    add_keys(parser)
    parser.add_argument("--encrypt", action="store_true", help="encrypt new keys with a passphrase")
    parser.add_argument("--root-keys", type=int, default=5, metavar="N", help="number of root keys (5)")
    parser.add_argument(
        "--root-threshold", type=int, default=3, metavar="N", help="how many of them must sign a new root (3)"
    )
    add_expiry(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Make the repository."""
    result = init_repository(
        args.directory,
        open_keyring(args, encrypt_new=args.encrypt),
        now=datetime.now(UTC),
        root_count=args.root_keys,
        root_threshold=args.root_threshold,
        expiry=read_expiry(args),
        report=report,
    )
    state = "is ready" if result.is_changed else "was ready already"
    print_line(f"{args.directory} {state}; devices trust it by {args.directory / metadata_path('root', 1)}")
