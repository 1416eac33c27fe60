"""``edgectl update``: watch and steer what comes to this device; each verb has a module of its own."""

from typing import Any

from edged.cli.commands.update import apply, check, history, rollback, status


def add(verbs: Any) -> None:
    """Add the verb and those below it to edgectl's parser."""
    parser = verbs.add_parser("update", help="watch updates, bring them, take them back")
    below = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in (status, check, apply, rollback, history):
        verb.add(below)
