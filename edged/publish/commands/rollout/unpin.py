"""``edge-publish rollout unpin``: take a pin away."""

import argparse

from edged.publish.commands.options.fleet import (
    add_model,
    add_repository,
    add_segment,
    open_repository,
    print_change,
    read_model,
    read_segments,
)
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.fleet.rollout import unpin
from edged.publish.fleet.words import part_of_fleet
from edged.publish.repository.fleet import change_rollout

TEXT = """\
Let a part of the fleet follow the rollout again. Name it with the same labels as when it was pinned; rollout status lists them.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "unpin",
        summary="take a pin away",
        text=TEXT,
        example="edge-publish rollout unpin adder --label site=lab --repo repo --keys keys",
    )
    add_model(parser)
    add_segment(parser)
    add_repository(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Take the pin away."""
    model, segments = read_model(args), read_segments(args)
    published = change_rollout(open_repository(args), model, lambda entry, _issued: unpin(entry, segments))
    print_change(args, published, f"{model}: {part_of_fleet(segments)} follows the rollout")
