"""``--keys`` and the passphrase that opens them."""

import argparse
import os
import sys
from pathlib import Path

from edged.errors import UsageError
from edged.publish.commands.options.terminal import Terminal
from edged.publish.keys.directory import PASSPHRASE_VARIABLE, Keyring

KEYS_HELP = f"directory of the signing keys; {PASSPHRASE_VARIABLE} holds their passphrase, otherwise you are asked"


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Add ``--keys``."""
    parser.add_argument("--keys", type=Path, required=True, metavar="DIR", help=KEYS_HELP)


def open_keyring(args: argparse.Namespace, *, encrypt_new: bool = False) -> Keyring:
    """Open ``--keys``; where somebody is there to be asked, passphrases are asked for when a key needs one.

    Args:
        args: Has ``keys``.
        encrypt_new: New keys are to be encrypted, even when no key here is.

    Raises:
        UsageError: New keys are to be encrypted, and no passphrase can be had.
    """
    terminal = Terminal() if sys.stdin.isatty() else None
    passphrase = read_passphrase()
    if encrypt_new and passphrase is None:
        if terminal is None:
            raise UsageError(
                "the keys need a passphrase", hint=f"Set {PASSPHRASE_VARIABLE}, or run the command in a terminal."
            )
        passphrase = terminal.new("the keys")
    return Keyring(directory=args.keys, passphrase=passphrase, asker=terminal)


def read_passphrase(variable: str = PASSPHRASE_VARIABLE) -> bytes | None:
    """Return a passphrase from the environment, None when it is not there or empty."""
    return os.fsencode(os.environ.get(variable, "")) or None
