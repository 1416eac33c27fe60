"""Options that several verbs share, and what becomes of them."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from edged.cli.table import printable
from edged.errors import UsageError
from edged.publish.commands.options.terminal import Terminal
from edged.publish.keys.directory import PASSPHRASE_VARIABLE, Keyring
from edged.publish.repository.roles import Expiry

Verbs = Any
"""What ``ArgumentParser.add_subparsers`` returns; its type is private to argparse."""

KEYS_HELP = f"directory of the signing keys; {PASSPHRASE_VARIABLE} holds their passphrase, otherwise you are asked"
MAX_DAYS = 36500
EXPIRY_ROLES = ("root", "targets", "model", "ops", "stop", "snapshot", "timestamp")


def add_verb(verbs: Verbs, name: str, *, summary: str, text: str = "", example: str = "") -> argparse.ArgumentParser:
    """Add a verb whose help keeps the line breaks of its texts."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=text or summary,
        epilog=f"Example:\n  {example}" if example else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Add ``--keys``."""
    parser.add_argument("--keys", type=Path, required=True, metavar="DIR", help=KEYS_HELP)


def add_expiry(parser: argparse.ArgumentParser) -> None:
    """Add ``--expiry``."""
    default = Expiry()
    days = ", ".join(f"{role} {getattr(default, f'{role}_days')}" for role in EXPIRY_ROLES)
    parser.add_argument(
        "--expiry",
        action="append",
        default=[],
        metavar="ROLE=DAYS",
        help=f"how long new signatures of a role hold (days: {days})",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def read_expiry(args: argparse.Namespace) -> Expiry:
    """Turn ``--expiry`` into days for each role.

    Raises:
        UsageError: A role is unknown, or a number is no number of days.
    """
    days: dict[str, int] = {}
    for setting in args.expiry:
        role, _, number = setting.partition("=")
        if role not in EXPIRY_ROLES:
            raise UsageError(f"--expiry {setting}: no such role", hint=f"Roles are {', '.join(EXPIRY_ROLES)}.")
        if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= MAX_DAYS:
            raise UsageError(
                f"--expiry {setting}: expected a number of days from 1 to {MAX_DAYS}",
                hint="For example: --expiry timestamp=2",
            )
        days[f"{role}_days"] = int(number)
    return Expiry(**days)


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


def report(line: str) -> None:
    """Show progress on standard error; a line may quote what comes from outside."""
    sys.stderr.write(f"{printable(line)}\n")


def print_json(value: object) -> None:
    """Print a result for programs."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def print_line(line: str = "") -> None:
    """Print a result for people, at once: a server prints its address and goes on running."""
    sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.flush()
