"""``edge-publish keys passphrase``: give a key another passphrase."""

import argparse
import sys
from typing import Final

from edged.errors import UsageError
from edged.publish.commands.options.keys import add_keys, open_keyring, read_passphrase
from edged.publish.commands.options.printing import print_line
from edged.publish.commands.options.terminal import Terminal
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.keys.directory import PASSPHRASE_VARIABLE

NEW_PASSPHRASE_VARIABLE: Final = "EDGE_PUBLISH_NEW_PASSPHRASE"  # noqa: S105 - the name of a variable, not its value
TEXT = f"""\
Encrypt keys anew. You are asked for the old passphrase and for the new one; scripts set {PASSPHRASE_VARIABLE} and
{NEW_PASSPHRASE_VARIABLE}. --unencrypted takes the passphrase away. The key stays the same: nothing has to be signed again. A copy that
was made before keeps its old passphrase.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "passphrase",
        summary="change the passphrase of keys",
        text=TEXT,
        example="edge-publish keys passphrase root-alice --keys /media/alice",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="which keys")
    add_keys(parser)
    parser.add_argument("--unencrypted", action="store_true", help="keep the keys without a passphrase")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Change the passphrases."""
    keyring = open_keyring(args)
    new = None if args.unencrypted else read_passphrase(NEW_PASSPHRASE_VARIABLE)
    is_asked = not args.unencrypted and new is None
    if is_asked and not sys.stdin.isatty():
        hint = f"Set {NEW_PASSPHRASE_VARIABLE}, run the command in a terminal, or say --unencrypted."
        raise UsageError("the keys need a new passphrase", hint=hint)
    # Opened before anything is asked for or changed: one mistyped old passphrase must not leave some keys with the new one.
    for name in args.names:
        keyring.signer(name)
    for name in dict.fromkeys(args.names):
        keyring.change_passphrase(name, Terminal().new(name) if is_asked else new)
        print_line(f"{keyring.path(name)}  {'encrypted anew' if keyring.is_encrypted(name) else 'not encrypted'}")
