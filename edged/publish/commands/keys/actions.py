"""``edge-publish keys``: the actions on signing keys, one module each."""

from edged.publish.commands.keys import create, export_public, passphrase, replace, show
from edged.publish.commands.options.verb import Verbs, add_verb


def add_parser(verbs: Verbs) -> None:
    """Add the verb and its actions."""
    parser = add_verb(verbs, "keys", summary="make signing keys, look at them, and replace them")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (create, show, export_public, passphrase, replace):
        action.add_parser(actions)
