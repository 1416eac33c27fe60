"""``edgectl update``: watch and steer what comes to this device; each verb has a module of its own."""

from typing import Any

from edged.cli.commands import update_apply, update_check, update_history, update_rollback, update_status


def add(verbs: Any) -> None:
    """Add the verb and those below it to edgectl's parser."""
    parser = verbs.add_parser("update", help="watch updates, bring them, take them back")
    below = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in (update_status, update_check, update_apply, update_rollback, update_history):
        verb.add(below)
