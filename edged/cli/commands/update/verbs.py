"""``edgectl update``: watch and steer what comes to this device; each verb has a module of its own."""

from typing import Any

from edged.cli.commands.update import apply as update_apply
from edged.cli.commands.update import check as update_check
from edged.cli.commands.update import history as update_history
from edged.cli.commands.update import rollback as update_rollback
from edged.cli.commands.update import status as update_status


def add(verbs: Any) -> None:
    """Add the verb and those below it to edgectl's parser."""
    parser = verbs.add_parser("update", help="watch updates, bring them, take them back")
    below = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in (update_status, update_check, update_apply, update_rollback, update_history):
        verb.add(below)
