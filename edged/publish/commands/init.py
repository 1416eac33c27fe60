"""``edge-publish init``: make a repository and its keys."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from edged.cli.exits import Exit
from edged.errors import UsageError
from edged.files import hash_bytes
from edged.publish.commands.options.expiry import add_expiry, read_expiry
from edged.publish.commands.options.keys import add_keys, open_keyring
from edged.publish.commands.options.printing import print_line, report
from edged.publish.commands.options.terminal import Terminal
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.keys.files import read_public
from edged.publish.repository.operations import init_repository
from edged.publish.repository.state import metadata_path
from edged.publish.root import texts
from edged.publish.root.ceremony import Ceremony
from edged.publish.root.founding import found_repository

ROOT_KEYS = 5
TEXT = """\
Make a repository without models, and the ed25519 keys that are not there yet. Running init again finishes one that was interrupted, and
changes nothing on a repository that is complete.

Devices start their trust from metadata/1.root.json: copy it to /etc/edged/root.json on each of them. Afterwards keep the root keys
and the targets key offline: publishing a new version of a known model needs neither.

Three ways to the root keys:
  --ceremony       several people make them together, guided step by step, each with a passphrase of their own
  --root-public    their holders made them elsewhere and sent the public parts; init says how they sign, and ends with exit code 6 until
                   enough of them have
  neither          all of them are made in --keys at once: for scripts and for trying it out
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_verb(
        verbs,
        "init",
        summary="make a repository and its keys",
        text=TEXT,
        example="edge-publish init repo --keys keys --ceremony",
    )
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="the repository; everything in it may be served to anyone"
    )
    add_keys(parser)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--ceremony", action="store_true", help="be guided, with the holders of the root keys around you")
    way.add_argument(
        "--root-public", type=Path, nargs="+", metavar="FILE", help="the public parts of all root keys (NAME.pub)"
    )
    parser.add_argument("--encrypt", action="store_true", help="encrypt new keys with a passphrase")
    parser.add_argument("--root-keys", type=int, metavar="N", help=f"number of root keys ({ROOT_KEYS})")
    parser.add_argument(
        "--root-threshold", type=int, default=3, metavar="N", help="how many of them must sign a new root (3)"
    )
    add_expiry(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Make the repository."""
    if args.ceremony:
        return _hold_ceremony(args)
    if args.root_public:
        return _found(args)
    result = init_repository(
        args.directory,
        open_keyring(args, encrypt_new=args.encrypt),
        now=datetime.now(UTC),
        root_count=ROOT_KEYS if args.root_keys is None else args.root_keys,
        root_threshold=args.root_threshold,
        expiry=read_expiry(args),
        report=report,
    )
    _print_state(args.directory, is_changed=result.is_changed)
    return Exit.OK


def _print_state(directory: Path, *, is_changed: bool) -> None:
    state = "is ready" if is_changed else "was ready already"
    print_line(f"{directory} {state}; devices trust it by {directory / metadata_path('root', 1)}")


def _found(args: argparse.Namespace) -> Exit:
    if args.root_keys not in {None, len(args.root_public)}:
        hint = "Name the public part of each root key; --root-keys may be left out."
        raise UsageError(f"--root-keys says {args.root_keys}, --root-public names {len(args.root_public)}", hint=hint)
    signing = found_repository(
        args.directory,
        open_keyring(args, encrypt_new=args.encrypt),
        [read_public(path) for path in args.root_public],
        threshold=args.root_threshold,
        now=datetime.now(UTC),
        expiry=read_expiry(args),
        report=report,
    )
    if signing.path is not None:
        for line in texts.waiting(signing):
            print_line(line)
        return Exit.DEGRADED
    _print_state(args.directory, is_changed=signing.is_changed)
    return Exit.OK


def _hold_ceremony(args: argparse.Namespace) -> Exit:
    if not sys.stdin.isatty():
        hint = "Scripts use --root-public, or make all keys at once."
        raise UsageError("a ceremony needs a terminal with people at it", hint=hint)
    keys = open_keyring(args)
    plan, signing = Ceremony(
        directory=args.directory,
        keys=keys,
        console=Terminal(),
        count=ROOT_KEYS if args.root_keys is None else args.root_keys,
        threshold=args.root_threshold,
        now=datetime.now(UTC),
        expiry=read_expiry(args),
        report=report,
    ).hold()
    if signing.path is not None:
        lines = texts.waiting(signing, plan)
    else:
        root = args.directory / metadata_path("root", 1)
        lines = texts.ready(args.directory, root, hash_bytes(root.read_bytes()), plan, keys, signing)
    print_line()
    for line in lines:
        print_line(line)
    return Exit.DEGRADED if signing.path is not None else Exit.OK
