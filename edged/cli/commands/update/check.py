"""``edgectl update check``: have the updater look for updates now, and wait until it has brought what there is."""

import argparse
from typing import Any

from edged.cli import updater
from edged.cli.exits import Exit
from edged.cli.progress import ProgressLine
from edged.cli.staged import finish
from edged.config.schema import PathsConfig


def add(verbs: Any) -> None:
    """Add the verb to the parser of ``edgectl update``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "check",
        help="look for updates now and bring what there is; exits with 7 when nothing is new, and with 8 when it is put off",
    )
    add_updater(parser)
    parser.set_defaults(run=run)


def add_updater(parser: argparse.ArgumentParser) -> None:
    """Add where the updater listens."""
    default = PathsConfig().update_control
    parser.add_argument(
        "--updater", metavar="PATH", default=default, help="the updater's control socket (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> Exit:
    """Ask the updater, and tell what is new."""
    with ProgressLine() as progress:
        ending = updater.check(args.updater, progress)
    return finish(ending)
