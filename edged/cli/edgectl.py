"""``edgectl``: look at and ask the daemon of this device."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from edged.cli.commands import device, events, flags, infer, models, status, version, wait
from edged.cli.commands.policy import verbs as policy
from edged.cli.commands.update import verbs as update
from edged.cli.exits import run_command
from edged.config.schema import PathsConfig

ADMIN_SOCKET: Final = PathsConfig().admin_socket
APP_SOCKET: Final = PathsConfig().app_socket

_EXITS: Final = (
    "exit codes: 0 ok, 1 failed, 2 usage, 3 daemon unreachable, 4 not permitted, 5 not found, 6 degraded, "
    "7 nothing to do, 8 busy, 9 timeout, 10 verification failed"
)


def choose_socket() -> str:
    """Return the administrators' socket where this user may open it, else the apps'."""
    return ADMIN_SOCKET if os.access(ADMIN_SOCKET, os.R_OK | os.W_OK) else APP_SOCKET


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the whole command; each verb adds its own."""
    parser = argparse.ArgumentParser(
        prog="edgectl", description="Look at and ask edged, which serves AI models on this device.", epilog=_EXITS
    )
    parser.add_argument(
        "--socket",
        metavar="PATH",
        default=choose_socket(),
        help=f"the daemon's socket (default: {ADMIN_SOCKET} where you may open it, else {APP_SOCKET})",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in (status, wait, device, events, models, infer, flags, policy, update, version):
        verb.add(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``edgectl``.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        The exit code.
    """
    args = make_parser().parse_args(argv)
    return run_command(lambda: args.run(args))


if __name__ == "__main__":
    sys.exit(main())
