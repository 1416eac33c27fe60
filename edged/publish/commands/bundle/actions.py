"""``edge-publish bundle``: the actions on bundles, one module each."""

from edged.publish.commands.bundle import build as bundle_build
from edged.publish.commands.bundle import diff as bundle_diff
from edged.publish.commands.bundle import init as bundle_init
from edged.publish.commands.bundle import match as bundle_match
from edged.publish.commands.bundle import scan as bundle_scan
from edged.publish.commands.bundle import schema as bundle_schema
from edged.publish.commands.bundle import show as bundle_show
from edged.publish.commands.bundle import signature as bundle_signature
from edged.publish.commands.bundle import validate as bundle_validate
from edged.publish.commands.options.verb import Verbs, add_verb

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
