"""``edge-publish rollout pin``: keep a part of the fleet at one version."""

import argparse

from edged.errors import UsageError
from edged.ops.rollout import Pin
from edged.publish.commands.options.fleet import (
    add_model,
    add_reason,
    add_repository,
    add_segment,
    open_repository,
    parse_version,
    print_change,
    read_model,
    read_reason,
    read_segments,
)
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.fleet.rollout import pin
from edged.publish.fleet.words import part_of_fleet
from edged.publish.repository.fleet import change_rollout

TEXT = """\
Keep a part of the fleet at one version, whatever is rolled out. A pin of the same part is replaced; of several pins that fit a device the
oldest counts.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "pin",
        summary="keep a part of the fleet at one version",
        text=TEXT,
        example='edge-publish rollout pin adder 1.0.0 --label site=lab --reason "under test" --repo repo --keys keys',
    )
    add_model(parser)
    parser.add_argument("version", metavar="VERSION", help="a published version")
    add_segment(parser)
    add_reason(parser, "why; devices show it")
    add_repository(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Pin the version."""
    model, version, segments = read_model(args), str(parse_version(args.version)), read_segments(args)
    if not segments:
        raise UsageError("a pin is for a part of the fleet", hint="Say which with --label or --arch.")
    new = Pin(segments=segments, version=version, reason=read_reason(args))
    published = change_rollout(open_repository(args), model, lambda entry, _issued: pin(entry, new))
    print_change(args, published, f"{model}: {part_of_fleet(segments)} stays at {version}")
