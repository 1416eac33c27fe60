"""``edge-publish root``: the actions on root metadata, one module each."""

from edged.publish.commands import root_rotate, root_show, root_sign
from edged.publish.commands.options import Verbs, add_verb


def add_parser(verbs: Verbs) -> None:
    """Add the verb and its actions."""
    parser = add_verb(verbs, "root", summary="look at the root of trust, sign it, and replace its keys")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (root_show, root_sign, root_rotate):
        action.add_parser(actions)
