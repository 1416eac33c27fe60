"""``edge-publish flags unset``: forget a flag, or one of its rules."""

import argparse

from edged.publish.commands.options.fleet import (
    add_repository,
    add_segment,
    open_repository,
    print_change,
    read_segments,
)
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.fleet.flags import unset_flag
from edged.publish.fleet.words import part_of_fleet
from edged.publish.repository.fleet import change_flags

TEXT = """\
Forget a flag, or with --label or --arch its rule for exactly that part of the fleet.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "unset",
        summary="forget a flag, or one of its rules",
        text=TEXT,
        example="edge-publish flags unset new-decoder --repo repo --keys keys",
    )
    parser.add_argument("name", metavar="NAME", help="name of the flag")
    add_segment(parser)
    add_repository(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Forget it."""
    segments = read_segments(args)
    published = change_flags(open_repository(args), lambda flags: unset_flag(flags, args.name, segments=segments))
    what = f"its rule for {part_of_fleet(segments)}" if segments else "the flag"
    print_change(args, published, f"{args.name}: {what} is forgotten")
