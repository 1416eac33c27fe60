"""``--expiry``: how long new signatures hold."""

import argparse

from edged.errors import UsageError
from edged.publish.repository.roles import Expiry

MAX_DAYS = 36500
EXPIRY_ROLES = ("root", "targets", "model", "ops", "stop", "snapshot", "timestamp")


def add_expiry(parser: argparse.ArgumentParser) -> None:
    """Add ``--expiry``."""
    default = Expiry()
    days = ", ".join(f"{role} {getattr(default, f'{role}_days')}" for role in EXPIRY_ROLES)
    parser.add_argument(
        "--expiry",
        action="append",
        default=[],
        metavar="ROLE=DAYS",
        help=f"how long new signatures of a role hold; warnings come in the last quarter of that at the earliest (days: {days})",
    )


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
