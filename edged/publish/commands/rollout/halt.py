"""``edge-publish rollout halt``: keep a version from spreading, or take it back."""

import argparse

from edged.publish.commands.options.fleet import (
    add_model,
    add_reason,
    add_repository,
    open_repository,
    print_change,
    read_model,
    read_reason,
)
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.fleet.rollout import halt
from edged.publish.repository.fleet import change_rollout

TEXT = """\
Keep a version that is being rolled out from spreading: nobody new takes it, and who runs it stays with it. With --back, devices that run
it go back to the version for everyone. To have a model refuse requests within seconds, see: edge-publish stop.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "halt",
        summary="keep a version from spreading, or take it back",
        text=TEXT,
        example='edge-publish rollout halt adder --reason "answers are too slow" --back --repo repo --keys keys',
    )
    add_model(parser)
    add_reason(parser, "why; devices show it")
    parser.add_argument("--back", action="store_true", help="take it from the devices that have it")
    add_repository(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Halt the rollout."""
    model, reason = read_model(args), read_reason(args)
    published = change_rollout(
        open_repository(args), model, lambda entry, _issued: halt(entry, reason=reason, takes_back=args.back)
    )
    print_change(args, published, f"{model}: the rollout is {'taken back' if args.back else 'halted'}")
