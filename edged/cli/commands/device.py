"""``edgectl device``: what the device knows of itself, as policies are judged by it."""

import argparse
from typing import Any

from edged.api.documents.context import CONTEXT_PATH, ContextDocument
from edged.cli.commands import device_budget
from edged.cli.device_page import render
from edged.cli.exits import Exit
from edged.cli.showing import add_watching, show


def add(verbs: Any) -> None:
    """Add the verb to edgectl's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "device", help="show heat, power, load and network of the device, and its sensors"
    )
    add_watching(parser, CONTEXT_PATH)
    parser.set_defaults(run=run)
    device_budget.add(parser.add_subparsers(title="verbs", metavar="VERB"))


def run(args: argparse.Namespace) -> Exit:
    """Print the device's context, once or until interrupted."""
    show(args, CONTEXT_PATH, ContextDocument, render)
    return Exit.OK
