"""``edge-publish bundle``: the actions on bundles, one module each."""

from edged.publish.commands import bundle_build, bundle_show, bundle_validate
from edged.publish.commands.options import Verbs, add_verb


def add_parser(verbs: Verbs) -> None:
    """Add the verb and its actions."""
    parser = add_verb(verbs, "bundle", summary="build, validate and show bundles")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (bundle_build, bundle_validate, bundle_show):
        action.add_parser(actions)
