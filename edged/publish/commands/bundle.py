"""``edge-publish bundle``: the actions on bundles, one module each."""

from edged.publish.commands import (
    bundle_build,
    bundle_diff,
    bundle_init,
    bundle_match,
    bundle_scan,
    bundle_schema,
    bundle_show,
    bundle_signature,
    bundle_validate,
)
from edged.publish.commands.options import Verbs, add_verb

ACTIONS = (
    bundle_init,
    bundle_build,
    bundle_validate,
    bundle_scan,
    bundle_signature,
    bundle_match,
    bundle_show,
    bundle_diff,
    bundle_schema,
)
"""In the order in which a bundle comes to them."""


def add_parser(verbs: Verbs) -> None:
    """Add the verb and its actions."""
    parser = add_verb(verbs, "bundle", summary="begin, build, check, compare and explain bundles")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in ACTIONS:
        action.add_parser(actions)
