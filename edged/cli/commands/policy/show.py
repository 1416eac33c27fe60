"""``edgectl policy show``: the rules in force, where they are from, and what they decide now."""

import argparse
from typing import Any

from edged.api.documents.policy import POLICY_PATH, PolicyDocument
from edged.cli.exits import Exit
from edged.cli.http import Client
from edged.cli.policy_page import render_policy
from edged.cli.showing import text_of


def add(verbs: Any) -> None:
    """Add the verb to the parser of ``edgectl policy``."""
    parser: argparse.ArgumentParser = verbs.add_parser("show", help="show the rules in force and what they decide now")
    parser.add_argument("--json", action="store_true", help=f"print the document of {POLICY_PATH}")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print what is in force."""
    policy = Client(args.socket).get(POLICY_PATH, PolicyDocument)
    print(text_of(policy, render_policy, as_json=args.json), end="")
    return Exit.OK
