"""``edgectl update status``: what the updater does, and for each model what should run here, what waits, what is tried, and why."""

import argparse
import time
from typing import Any

from edged.api.documents.status import STATUS_PATH, Status
from edged.cli.delivery_page import render_delivery
from edged.cli.exits import Exit
from edged.cli.showing import add_watching, show
from edged.cli.update_page import render_update


def add(verbs: Any) -> None:
    """Add the verb to the parser of ``edgectl update``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "status", help="show what the updater does and how the delivery of each model stands"
    )
    add_watching(parser, STATUS_PATH)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print it, once or until interrupted."""
    show(args, STATUS_PATH, Status, lambda status: render(status, now_s=time.time()))
    return Exit.OK


def render(status: Status, *, now_s: float) -> str:
    """Lay out updates for a person; ``now_s`` is Unix seconds on the clock of the document's times."""
    models = [render_delivery(model, now_s=now_s) for model in status.models]
    return "\n".join([render_update(status.update, now_s=now_s), *models])
