"""``--allow-secret``: say of a finding that it is no secret, by its exact place in an exact file, and why."""

import argparse
import re
from typing import Final

from edged.errors import UsageError

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{16}")


def add_allowed(parser: argparse.ArgumentParser) -> None:
    """Add ``--allow-secret``."""
    parser.add_argument(
        "--allow-secret",
        action="append",
        default=[],
        metavar="FINGERPRINT=REASON",
        help="what was found there is no secret, because of REASON; the fingerprint changes with the file (see: bundle scan)",
    )


def read_allowed(args: argparse.Namespace) -> dict[str, str]:
    """Return the reasons by fingerprint.

    Raises:
        UsageError: A setting has no fingerprint or no reason.
    """
    allowed: dict[str, str] = {}
    for setting in args.allow_secret:
        fingerprint, _, reason = setting.partition("=")
        if not _FINGERPRINT.fullmatch(fingerprint) or not reason.strip():
            raise UsageError(
                f"--allow-secret {setting}: expected 16 hexadecimal digits, an equals sign and a reason",
                hint="For example: --allow-secret 0123456789abcdef='a published test key'",
            )
        allowed[fingerprint] = reason.strip()
    return allowed
