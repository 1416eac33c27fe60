"""``edgectl policy override``: decide about a model in the policy's place, for a while."""

import argparse
from typing import Any

from edged.api.documents.policy import OverrideStatus
from edged.cli.arguments import span
from edged.cli.exits import Exit
from edged.cli.steering import Steering
from edged.cli.table import printable
from edged.cli.words import duration
from edged.codec import encode_readable
from edged.errors import UsageError
from edged.policy.document import MAX_DEFER_S, Then
from edged.policy.override import MAX_OVERRIDE_S, then_text


def add(verbs: Any) -> None:
    """Add the verb to the parser of ``edgectl policy``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "override", help="decide about a model in the policy's place, for a while"
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="the model's name; all of them, with --clear alone")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--variant",
        metavar="VARIANT",
        help="this one answers: a precision, a tier, an id or a pattern of it; or several, best first, with commas",
    )
    what.add_argument("--deny", metavar="WHY", help="nothing answers, and callers are told why")
    what.add_argument(
        "--defer",
        metavar="SPAN",
        type=span(most_s=MAX_DEFER_S),
        help="nothing answers now; callers are to come again after this, at most 1d",
    )
    what.add_argument("--clear", action="store_true", help="end the override now")
    parser.add_argument(
        "--for",
        metavar="SPAN",
        dest="for_s",
        type=span(most_s=MAX_OVERRIDE_S),
        help="how long: 90s, 30m, 2h, at most 7d",
    )
    parser.add_argument("--reason", metavar="TEXT", help="for the history")
    parser.add_argument("--json", action="store_true", help="print what the daemon answers")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Override, or end overrides."""
    steering = Steering(args.socket)
    if args.clear:
        ended = steering.clear_overrides(args.model)
        lines = [f"{item.model} is up to the policy again" for item in ended.overrides]
        print(encode_readable(ended).decode() if args.json else "".join(f"{line}\n" for line in lines), end="")
        return Exit.OK
    if not (args.model and args.for_s and args.reason):
        raise UsageError(
            "an override needs a model, --for and --reason",
            hint='edgectl policy override MODEL --variant int8 --for 2h --reason "the fan is broken"',
        )
    status = steering.override(args.model, _then(args), for_s=args.for_s, reason=args.reason)
    print(encode_readable(status).decode() if args.json else f"{_line(status)}\n", end="")
    return Exit.OK


def _then(args: argparse.Namespace) -> Then:
    if args.variant is not None:
        return Then(variants=tuple(args.variant.split(",")))
    return Then(deny=args.deny) if args.deny is not None else Then(defer_s=args.defer)


def _line(status: OverrideStatus) -> str:
    return printable(f"{status.model}: {then_text(status.then)}, for {duration(status.left_s)}")
