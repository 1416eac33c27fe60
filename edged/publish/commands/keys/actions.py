"""``edge-publish keys``: the actions on signing keys, one module each."""

from edged.publish.commands.keys import create as keys_create
from edged.publish.commands.keys import export_public as keys_export_public
from edged.publish.commands.keys import passphrase as keys_passphrase
from edged.publish.commands.keys import replace as keys_replace
from edged.publish.commands.keys import show as keys_show
from edged.publish.commands.options.verb import Verbs, add_verb


def add_parser(verbs: Verbs) -> None:
    """Add the verb and its actions."""
    parser = add_verb(verbs, "keys", summary="make signing keys, look at them, and replace them")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (keys_create, keys_show, keys_export_public, keys_passphrase, keys_replace):
        action.add_parser(actions)
