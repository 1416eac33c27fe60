"""``edge-publish rollout resume``: let a halted rollout go on."""

import argparse

from edged.publish.commands.options.fleet import add_model, add_repository, open_repository, print_change, read_model
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.fleet.rollout import resume
from edged.publish.repository.fleet import change_rollout

TEXT = """\
Let a rollout go on that was halted; the soak time of its step begins again. One that was taken back is at 0 %, and advances from there.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "resume",
        summary="let a halted rollout go on",
        text=TEXT,
        example="edge-publish rollout resume adder --repo repo --keys keys",
    )
    add_model(parser)
    add_repository(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Resume the rollout."""
    model = read_model(args)
    published = change_rollout(open_repository(args), model, lambda entry, issued: resume(entry, now=issued))
    print_change(args, published, f"{model}: the rollout goes on")
