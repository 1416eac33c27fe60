"""``edgectl policy``: what decides about requests, and why; each verb has a module of its own."""

from typing import Any

from edged.cli.commands.policy import explain, override, show, test


def add(verbs: Any) -> None:
    """Add the verb and those below it to edgectl's parser."""
    parser = verbs.add_parser("policy", help="show, test, explain and override what decides about requests")
    below = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in (show, test, explain, override):
        verb.add(below)
