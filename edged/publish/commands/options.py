"""Options that several verbs share, and what becomes of them."""

import argparse
import getpass
import json
import os
import sys
from pathlib import Path
from typing import Any

from edged.errors import UsageError
from edged.publish.keys import PASSPHRASE_VARIABLE, Keyring
from edged.publish.roles import Expiry

Verbs = Any
"""What ``ArgumentParser.add_subparsers`` returns; its type is private to argparse."""

KEYS_HELP = f"directory of the signing keys; {PASSPHRASE_VARIABLE} holds their passphrase, or you are asked for it"
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
        if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= 36500:
            raise UsageError(
                f"--expiry {setting}: expected a number of days from 1 to 36500",
                hint="For example: --expiry timestamp=2",
            )
        days[f"{role}_days"] = int(number)
    return Expiry(**days)


def open_keyring(args: argparse.Namespace, *, encrypt_new: bool = False) -> Keyring:
    """Open ``--keys``, asking for the passphrase where one is needed and somebody is there to be asked.

    Args:
        args: Has ``keys``.
        encrypt_new: New keys are to be encrypted, so a passphrase is needed even when no key is here yet.

    Raises:
        UsageError: A passphrase is needed and cannot be had.
        NotPermittedError: Other users may read a key.
    """
    keyring = Keyring(directory=args.keys)
    if value := os.environ.get(PASSPHRASE_VARIABLE):
        return Keyring(directory=args.keys, passphrase=value.encode())
    has_encrypted = any(keyring.is_encrypted(name) for name in keyring.names())
    if not has_encrypted and not encrypt_new:
        return keyring
    if not sys.stdin.isatty():
        raise UsageError(
            "the keys need a passphrase", hint=f"Set {PASSPHRASE_VARIABLE}, or run the command in a terminal."
        )
    passphrase = _ask("Passphrase of the keys: ")
    if encrypt_new and not has_encrypted and _ask("Once more: ") != passphrase:
        raise UsageError("the two passphrases differ", hint="Try again.")
    if not passphrase:
        raise UsageError(
            "an empty passphrase protects nothing", hint="Leave out --encrypt to store the keys unencrypted."
        )
    return Keyring(directory=args.keys, passphrase=passphrase.encode())


def _ask(prompt: str) -> str:
    try:
        return getpass.getpass(prompt)
    except EOFError as exc:
        raise UsageError("no passphrase was given", hint=f"Type it, or set {PASSPHRASE_VARIABLE}.") from exc


def report(line: str) -> None:
    """Show progress on standard error."""
    sys.stderr.write(f"{line}\n")


def print_json(value: object) -> None:
    """Print a result for programs."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def print_line(line: str = "") -> None:
    """Print a result for people, at once: a server prints its address and goes on running."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
