"""``edge-publish policy``: how careful all devices are with new versions, and what decides about requests; one module for each action."""

from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.commands.policy import clear, show
from edged.publish.commands.policy import set as set_policy

TEXT = """\
Say to the whole fleet how careful to be with new versions: when they may be activated, and how long they are on trial. It adds to what
each device is configured with: of two windows both must be open, of two limits the stricter one counts. And say by which rules devices
decide about requests; those of a device's own administrator are asked before them.

Keys needed: ops, snapshot, timestamp.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb and its actions."""
    parser = add_verb(
        verbs,
        "policy",
        summary="say how careful devices are with new versions, and by which rules they decide",
        text=TEXT,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (show, set_policy, clear):
        action.add_parser(actions)
