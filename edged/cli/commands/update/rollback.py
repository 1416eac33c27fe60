"""``edgectl update rollback``: turn the active version of a model down, and go back to the one before."""

import argparse
from typing import Any, Final

from edged.cli.exits import Exit
from edged.cli.steering import Steering

_REASON: Final = "taken back with edgectl"


def add(verbs: Any) -> None:
    """Add the verb to the parser of ``edgectl update``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "rollback", help="turn a model's active version down and go back to the one before"
    )
    parser.add_argument("model", metavar="MODEL", help="the model's name")
    parser.add_argument("--reason", metavar="TEXT", default=_REASON, help="for the history (default: %(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Roll back, and say what answers now."""
    switched = Steering(args.socket).rollback(args.model, reason=args.reason)
    print(f"{switched.model} {switched.version} answers again")
    return Exit.OK
