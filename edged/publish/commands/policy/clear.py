"""``edge-publish policy clear``: ask for nothing any more."""

import argparse

from edged.publish.commands.options.fleet import add_repository, open_repository, print_change
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.repository.fleet import clear_policy

TEXT = """\
Publish a policy that asks for nothing, so that each device does what it is configured to do.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "clear",
        summary="ask for nothing any more",
        text=TEXT,
        example="edge-publish policy clear --repo repo --keys keys",
    )
    parser.add_argument("--rules", action="store_true", help="only what decides about requests")
    add_repository(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Clear the policy."""
    published = clear_policy(open_repository(args), only_rules=args.rules)
    what = "has no rules" if args.rules else "asks for nothing"
    print_change(args, published, f"the policy for the fleet {what}")
