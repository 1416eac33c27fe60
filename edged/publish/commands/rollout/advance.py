"""``edge-publish rollout advance``: take a rollout to its next step."""

import argparse

from edged.ops.rollout import RolloutEntry
from edged.ops.segments import Issued
from edged.publish.commands.options.fleet import (
    add_model,
    add_repository,
    open_repository,
    parse_percent,
    print_change,
    read_model,
)
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.fleet.rollout import STEPS, advance
from edged.publish.repository.fleet import change_rollout

TEXT = """\
Take a rollout to its next step: 1, 10, 25, 50, 100 %, or to any higher percentage. At 100 % every device of the rollout runs the version
and it may still be halted; one more advance finishes it, which makes it the version for everyone.

A step that has not lasted its soak time yet is refused with exit code 8, so this may be run from a timer. A rollout that is halted or was
taken back does not advance until it is resumed.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "advance",
        summary="take a rollout to its next step",
        text=TEXT,
        example="edge-publish rollout advance adder --repo repo --keys keys",
    )
    add_model(parser)
    steps = ", ".join(f"{step:g}" for step in STEPS)
    parser.add_argument("--percent", metavar="N", help=f"how far (the next of {steps})")
    parser.add_argument("--now", action="store_true", help="do not wait for the soak time")
    parser.add_argument(
        "--everyone", action="store_true", help="finish a rollout that went to a part of the fleet, or waits for a flag"
    )
    add_repository(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Advance the rollout."""
    model = read_model(args)
    percent = None if args.percent is None else parse_percent(args.percent)
    reached: list[RolloutEntry] = []

    def change(entry: RolloutEntry | None, issued: Issued) -> RolloutEntry:
        reached.append(advance(entry, percent=percent, now=issued, at_once=args.now, to_everyone=args.everyone))
        return reached[-1]

    published = change_rollout(open_repository(args), model, change)
    after = reached[-1]
    where = f"at {after.next.percent:g} %" if after.next else "the version for everyone"
    print_change(args, published, f"{model}: {after.next.version if after.next else after.version} is {where}")
