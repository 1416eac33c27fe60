"""``edge-publish rollout floor``: let no version below another run, for ever."""

import argparse

from edged.publish.commands.options.fleet import (
    add_model,
    add_repository,
    open_repository,
    parse_version,
    print_change,
    read_model,
)
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.repository.fleet import set_floor

TEXT = """\
Let no version below this one run on any device any more, so that a signed old version with a known hole cannot come back. It is signed
with the model's own key, and can never be lowered. Keys needed: model-NAME, snapshot, timestamp.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "floor",
        summary="let no version below this one run, for ever",
        text=TEXT,
        example="edge-publish rollout floor adder 1.1.0 --repo repo --keys keys",
    )
    add_model(parser)
    parser.add_argument("version", metavar="VERSION", help="the lowest version that may run")
    add_repository(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Raise the floor."""
    model, floor = read_model(args), parse_version(args.version)
    published = set_floor(open_repository(args), model, floor)
    print_change(args, published, f"{model}: no version below {floor} runs")
