"""``edge-publish rollout status``: what the fleet does."""

import argparse
import sys
from datetime import UTC, datetime

from edged.cli.table import align, printable
from edged.ids import Version
from edged.publish.commands.options.printing import print_json, print_line
from edged.publish.commands.options.reading import add_reading, read_repository
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.fleet.floor import floor_of, published_versions
from edged.publish.fleet.overview import HEADINGS, ModelView, view_models
from edged.publish.repository.documents import ROLLOUT, STOPS, issue_time, read_document
from edged.publish.repository.state import State

TEXT = """\
Show for each model the version for everyone, what is being rolled out and how far it is, and what is stopped, halted or pinned. Times are
in UTC. Needs no keys.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "status",
        summary="show what the fleet does",
        text=TEXT,
        example="edge-publish rollout status --repo repo",
    )
    add_reading(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    tree, state = read_repository(args)
    rollout, stops = read_document(tree, state, ROLLOUT), read_document(tree, state, STOPS)
    versions, floors = _of_models(state)
    views = view_models(rollout, stops, published=versions, floors=floors)
    now = issue_time(datetime.now(UTC), "")
    if args.json:
        issued = rollout.issued if rollout is not None else None
        print_json({"schema": 1, "issued": issued, "models": [view.document(now) for view in views]})
    elif views:
        _print_table(views, now)
    else:
        print_line("no model is published")


def _of_models(state: State) -> tuple[dict[str, list[Version]], dict[str, Version | None]]:
    roles = {role.removeprefix("m-"): targets for role, targets in state.targets.items() if role.startswith("m-")}
    return (
        {model: published_versions(targets) for model, targets in roles.items()},
        {model: floor_of(targets) for model, targets in roles.items()},
    )


def _print_table(views: list[ModelView], now: str) -> None:
    lines = align([HEADINGS, *([printable(cell) for cell in view.row(now)] for view in views)]).splitlines()
    sys.stdout.write(f"{lines[0]}\n")
    for view, line in zip(views, lines[1:], strict=True):
        sys.stdout.write(f"{line}\n")
        for note in view.notes():
            print_line(f"  {note}")
