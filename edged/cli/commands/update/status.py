"""``edgectl update status``: what the updater does, and for each model what should run here, what waits, what is tried, and why."""

import argparse
import time
from typing import Any

from edged.api.documents.status import Status
from edged.cli.delivery_page import render_delivery
from edged.cli.exits import Exit
from edged.cli.folding import fitted
from edged.cli.http import Client
from edged.cli.update_page import render_update
from edged.cli.watching import WATCH_S, show
from edged.codec import encode_readable


def add(verbs: Any) -> None:
    """Add the verb to the parser of ``edgectl update``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "status", help="show what the updater does and how the delivery of each model stands"
    )
    parser.add_argument("--json", action="store_true", help="print the document of /edged/v1/status")
    parser.add_argument("--watch", action="store_true", help=f"show it anew every {WATCH_S:g} s until interrupted")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print it, once or until interrupted."""
    client = Client(args.socket)

    def text(status: Status) -> str:
        return encode_readable(status).decode() if args.json else fitted(render(status, now_s=time.time()))

    show(lambda: client.get("/edged/v1/status", Status), text, is_watching=args.watch)
    return Exit.OK


def render(status: Status, *, now_s: float) -> str:
    """Lay out updates for a person; ``now_s`` is Unix seconds on the clock of the document's times."""
    models = [render_delivery(model, now_s=now_s) for model in status.models]
    return "\n".join([render_update(status.update, now_s=now_s), *models])
