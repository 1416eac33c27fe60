"""``edge-publish rollout start``: begin to roll a version out in steps."""

import argparse

from edged.ops.rollout import Next, RolloutEntry
from edged.ops.segments import Issued
from edged.publish.commands.options.fleet import (
    add_model,
    add_repository,
    add_segment,
    open_repository,
    parse_percent,
    parse_share,
    parse_version,
    print_change,
    read_model,
    read_segments,
)
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.fleet.flags import check_name
from edged.publish.fleet.rollout import rollout_id, start
from edged.publish.fleet.words import parse_duration, part_of_fleet
from edged.publish.repository.fleet import change_rollout

TEXT = """\
Begin to roll a published version out. Devices outside of the part of the fleet that is named, and those not among the first so many
percent of it, stay with the version for everyone.

A rollout that is under way has to be finished or halted first; one that is halted or was taken back is replaced.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "start",
        summary="begin to roll a version out",
        text=TEXT,
        example="edge-publish rollout start adder 1.1.0 --percent 1 --label region=eu,us --repo repo --keys keys",
    )
    add_model(parser)
    parser.add_argument("version", metavar="VERSION", help="a published version")
    parser.add_argument("--percent", default="1", metavar="N", help="how many devices take it first (1)")
    add_segment(parser)
    parser.add_argument("--soak", default="24h", metavar="TIME", help="how long each step lasts at least (24h)")
    parser.add_argument(
        "--shadow",
        default="0",
        metavar="SHARE",
        help="of the apps' requests, how many a device asks it, unheard, before it answers anybody; 0.1 is every tenth (0)",
    )
    parser.add_argument(
        "--flag",
        default="",
        metavar="NAME",
        help="a flag that has to be on before a device runs it; the bits come before",
    )
    parser.add_argument("--id", metavar="ID", help="what draws the devices that are first (MODEL-VERSION)")
    add_repository(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Start the rollout."""
    model, version = read_model(args), str(parse_version(args.version))
    percent, segments, soak_s = parse_percent(args.percent), read_segments(args), parse_duration(args.soak)
    shadow = parse_share(args.shadow)
    if args.flag:
        check_name(args.flag)

    def change(entry: RolloutEntry | None, issued: Issued) -> RolloutEntry:
        new = Next(
            id=args.id or rollout_id(model, version),
            version=version,
            percent=percent,
            segments=segments,
            flag=args.flag,
            soak_s=soak_s,
            shadow=shadow,
            since=issued,
        )
        return start(entry, new)

    first = f", after a shadow run with {shadow * 100:.4g} % of the requests" if shadow else ""
    published = change_rollout(open_repository(args), model, change)
    print_change(args, published, f"{model}: {version} goes to {percent:g} % of {part_of_fleet(segments)}{first}")
