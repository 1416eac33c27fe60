"""``edgectl policy``: what decides about requests, and why; each verb has a module of its own."""

from typing import Any

from edged.cli.commands.policy import explain as policy_explain
from edged.cli.commands.policy import override as policy_override
from edged.cli.commands.policy import show as policy_show
from edged.cli.commands.policy import test as policy_test


def add(verbs: Any) -> None:
    """Add the verb and those below it to edgectl's parser."""
    parser = verbs.add_parser("policy", help="show, test, explain and override what decides about requests")
    below = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in (policy_show, policy_test, policy_explain, policy_override):
        verb.add(below)
