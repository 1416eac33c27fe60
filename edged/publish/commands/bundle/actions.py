"""``edge-publish bundle``: the actions on bundles, one module each."""

from edged.publish.commands.bundle import build, diff, init, match, scan, schema, show, signature, validate
from edged.publish.commands.options.verb import Verbs, add_verb

ACTIONS = (init, build, validate, scan, signature, match, show, diff, schema)
"""In the order in which a bundle comes to them."""


def add_parser(verbs: Verbs) -> None:
    """Add the verb and its actions."""
    parser = add_verb(verbs, "bundle", summary="begin, build, check, compare and explain bundles")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in ACTIONS:
        action.add_parser(actions)
