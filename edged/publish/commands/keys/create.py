"""``edge-publish keys create``: make signing keys."""

import argparse
import sys

from edged.errors import UsageError
from edged.publish.commands.options.keys import add_keys, read_passphrase
from edged.publish.commands.options.printing import print_line
from edged.publish.commands.options.terminal import Terminal
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.keys.directory import PASSPHRASE_VARIABLE, Keyring, check_name

TEXT = f"""\
Make ed25519 keys: NAME.pem, which only its owner can read, and its public part NAME.pub, which may be handed to anyone. Names are
root-NAME, targets, snapshot, timestamp, ops, stop and model-NAME.

Keys are encrypted: with the passphrase in {PASSPHRASE_VARIABLE}, or with one for each that you are asked for. To keep them without, say
--unencrypted. An existing key is never overwritten.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "create",
        summary="make signing keys",
        text=TEXT,
        example="edge-publish keys create root-alice --keys /media/alice",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="what to call a key")
    add_keys(parser)
    parser.add_argument("--unencrypted", action="store_true", help="keep the keys without a passphrase")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Make the keys."""
    keyring = Keyring(directory=args.keys)
    # All of them first: either every key is made or none.
    for name in args.names:
        check_name(name)
        keyring.check_absent(name)
    passphrase = None if args.unencrypted else read_passphrase()
    is_asked = not args.unencrypted and passphrase is None
    if is_asked and not sys.stdin.isatty():
        hint = f"Set {PASSPHRASE_VARIABLE}, run the command in a terminal, or say --unencrypted."
        raise UsageError("new keys need a passphrase", hint=hint)
    for name in dict.fromkeys(args.names):
        public = keyring.add(name, Terminal().new(name) if is_asked else passphrase)
        print_line(f"{keyring.path(name)}  {public.keyid}")
