"""``edge-publish rollout``: which version of each model which devices run, one module for each action."""

from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.commands.rollout import advance, floor, halt, pin, resume, start, status, unpin

TEXT = """\
Take a published version from a few devices to all. Each device finds out for itself whether it is among the first so many percent, and
one that is in at 1 % is in at 10 %.

  edge-publish publish build/adder-1.1.0 --repo repo --keys keys --no-rollout
  edge-publish rollout start adder 1.1.0 --percent 1 --repo repo --keys keys
  edge-publish rollout advance adder --repo repo --keys keys       1, 10, 25, 50, 100 %, then the version for everyone
  edge-publish rollout halt adder --reason "too slow" --back --repo repo --keys keys

Keys needed: ops, snapshot, timestamp; for a floor model-NAME in place of ops.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb and its actions."""
    parser = add_verb(verbs, "rollout", summary="roll a version out in steps, halt it, take it back", text=TEXT)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (status, start, advance, halt, resume, pin, unpin, floor):
        action.add_parser(actions)
