"""``edgectl status``: what the device does, which model runs where, what was refused, how updates go."""

import argparse
import time
from typing import Any

from edged.api.documents.status import STATUS_PATH, Status
from edged.cli.exits import Exit
from edged.cli.showing import add_watching, show
from edged.cli.status_page import render


def add(verbs: Any) -> None:
    """Add the verb to edgectl's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "status", help="show the state of the device; exits with 6 when it is degraded"
    )
    add_watching(parser, STATUS_PATH)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print the status, once or until interrupted."""
    status = show(args, STATUS_PATH, Status, lambda status: render(status, now_s=time.time()))
    return Exit.DEGRADED if status.state == "degraded" or status.has_refusals else Exit.OK
