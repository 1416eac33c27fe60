"""``edgectl device``: what the device knows of itself, as policies are judged by it."""

import argparse
from typing import Any

from edged.api.documents.context import CONTEXT_PATH, ContextDocument
from edged.cli.commands import device_budget
from edged.cli.device_page import render
from edged.cli.exits import Exit
from edged.cli.folding import fitted
from edged.cli.http import Client
from edged.cli.watching import WATCH_S, show
from edged.codec import encode_readable


def add(verbs: Any) -> None:
    """Add the verb to edgectl's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "device", help="show heat, power, load and network of the device, and its sensors"
    )
    parser.add_argument("--json", action="store_true", help=f"print the document of {CONTEXT_PATH}")
    parser.add_argument("--watch", action="store_true", help=f"show it anew every {WATCH_S:g} s until interrupted")
    parser.set_defaults(run=run)
    device_budget.add(parser.add_subparsers(title="verbs", metavar="VERB"))


def run(args: argparse.Namespace) -> Exit:
    """Print the device's context, once or until interrupted."""
    client = Client(args.socket)

    def text(document: ContextDocument) -> str:
        return encode_readable(document).decode() if args.json else fitted(render(document))

    show(lambda: client.get(CONTEXT_PATH, ContextDocument), text, is_watching=args.watch)
    return Exit.OK
