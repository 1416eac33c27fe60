"""``edge-publish flags``: switches that turn what is on devices on and off, one module for each action."""

from edged.publish.commands.flags import set as set_flag
from edged.publish.commands.flags import show, unset
from edged.publish.commands.options.verb import Verbs, add_verb

TEXT = """\
Set feature flags for the whole fleet or parts of it. They take effect without anything being installed: a rollout may wait for one, apps
may ask for their values, and edged itself obeys edged.stop-sensitive (devices on which it is on poll every 5 seconds).

Keys needed: ops, snapshot, timestamp.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb and its actions."""
    parser = add_verb(verbs, "flags", summary="set feature flags for the fleet", text=TEXT)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (show, set_flag, unset):
        action.add_parser(actions)
