"""``edge-publish root``: the actions on root metadata, one module each."""

from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.commands.root import rotate, show, sign


def add_parser(verbs: Verbs) -> None:
    """Add the verb and its actions."""
    parser = add_verb(verbs, "root", summary="look at the root of trust, sign it, and replace its keys")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (show, sign, rotate):
        action.add_parser(actions)
