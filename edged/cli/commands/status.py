"""``edgectl status``: what the device does, which model runs where, what was refused, how updates go."""

import argparse
import sys
import time
from typing import Any, Final

from edged.api.status import Status
from edged.cli.exits import Exit
from edged.cli.http import Client
from edged.cli.status_page import render
from edged.codec import encode_readable

WATCH_S: Final = 2.0
_CLEAR: Final = "\x1b[H\x1b[2J"


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
    while True:
        status = client.get("/edged/v1/status", Status)
        text = encode_readable(status).decode() if args.json else render(status, now_s=time.time())
        print((_CLEAR if args.watch and sys.stdout.isatty() else "") + text, end="", flush=True)
        if not args.watch:
            return Exit.DEGRADED if status.state == "degraded" else Exit.OK
        time.sleep(WATCH_S)
