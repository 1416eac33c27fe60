"""``edgectl status``: what the device does, which model runs where, what was refused, how updates go."""

import argparse
import time
from typing import Any

from edged.api.documents.status import Status
from edged.cli.exits import Exit
from edged.cli.folding import fitted
from edged.cli.http import Client
from edged.cli.status_page import render
from edged.cli.watching import WATCH_S, show
from edged.codec import encode_readable


def add(verbs: Any) -> None:
    """Add the verb to edgectl's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "status", help="show the state of the device; exits with 6 when it is degraded"
    )
    parser.add_argument("--json", action="store_true", help="print the document of /edged/v1/status")
    parser.add_argument("--watch", action="store_true", help=f"show it anew every {WATCH_S:g} s until interrupted")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print the status, once or until interrupted."""
    client = Client(args.socket)

    def text(status: Status) -> str:
        return encode_readable(status).decode() if args.json else fitted(render(status, now_s=time.time()))

    status = show(lambda: client.get("/edged/v1/status", Status), text, is_watching=args.watch)
    return Exit.DEGRADED if status.state == "degraded" or status.has_refusals else Exit.OK
