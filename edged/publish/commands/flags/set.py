"""``edge-publish flags set``: give a flag a value on some devices."""

import argparse

from edged.publish.commands.options.fleet import (
    add_repository,
    add_segment,
    open_repository,
    parse_percent,
    print_change,
    read_segments,
)
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.fleet.flags import check_name, parse_value, set_flag
from edged.publish.fleet.words import part_of_fleet
from edged.publish.repository.fleet import change_flags

TEXT = """\
Give a flag a value. Without --label, --arch and --percent it is the value for everybody for whom no rule says otherwise. With them it is
a rule, which replaces the one for the same part of the fleet. Rules for parts of the fleet come before the one for a share of everybody.

true and false are switches, numbers are numbers, anything else is text.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "set",
        summary="give a flag a value",
        text=TEXT,
        example="edge-publish flags set new-decoder true --label region=eu --percent 10 --repo repo --keys keys",
    )
    parser.add_argument("name", metavar="NAME", help="name of the flag")
    parser.add_argument("value", metavar="VALUE", help="true, false, a number or a text")
    add_segment(parser)
    parser.add_argument("--percent", default="100", metavar="N", help="the share of these devices (100)")
    parser.add_argument("--description", metavar="TEXT", help="what the flag is for")
    add_repository(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Set the flag."""
    check_name(args.name)
    value, segments, percent = parse_value(args.value), read_segments(args), parse_percent(args.percent)
    published = change_flags(
        open_repository(args),
        lambda flags: set_flag(
            flags, args.name, value=value, segments=segments, percent=percent, description=args.description
        ),
    )
    whom = part_of_fleet(segments) + (f", {percent:g} % of them" if percent < 100 else "")
    print_change(args, published, f"{args.name} is {args.value} for {whom}")
