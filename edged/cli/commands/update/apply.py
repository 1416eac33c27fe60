"""``edgectl update apply``: bring updates from a directory, such as a USB stick, or let a version that waits go on at once.

With ``--from``, the updater takes what the directory holds, with the same checks as from the network; what becomes of it is then decided as
ever, unless a model is named, too. Without, candidates go on whatever the quiet window says: that of the model which is named, else all.
"""

import argparse
from pathlib import Path
from typing import Any

from edged.api.documents.status import STATUS_PATH, Status
from edged.cli import updater
from edged.cli.commands.update.check import add_updater
from edged.cli.exits import Exit
from edged.cli.http import Client
from edged.cli.progress import ProgressLine
from edged.cli.staged import finish
from edged.cli.steering import Steering
from edged.errors import NothingToDoError


def add(verbs: Any) -> None:
    """Add the verb to the parser of ``edgectl update``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "apply", help="let a version that waits go on at once, or bring updates from a directory"
    )
    parser.add_argument(
        "model", metavar="MODEL[@VERSION]", nargs="?", help="only this model, and also if its version was refused"
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="DIR|FILE.edgeb",
        help="bring what this directory holds: a copy of the repository, or its metadata with packed bundles",
    )
    add_updater(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Bring, let go on, or both."""
    if args.source is not None:
        with ProgressLine() as progress:
            ending = updater.apply(args.updater, args.source, progress)
        outcome = finish(ending)
        if args.model is None:
            return outcome
    steering = Steering(args.socket)
    for model, version in [split(args.model)] if args.model else candidates(Client(args.socket)):
        switched = steering.apply(model, version=version)
        print(f"{switched.model} {switched.version} does not wait any longer")
    return Exit.OK


def split(text: str) -> tuple[str, str | None]:
    """Read ``MODEL`` or ``MODEL@VERSION``."""
    model, _, version = text.partition("@")
    return model, version or None


def candidates(client: Client) -> list[tuple[str, str | None]]:
    """Return every version that waits for the quiet window.

    Raises:
        NothingToDoError: There is none.
    """
    status = client.get(STATUS_PATH, Status)
    waiting: list[tuple[str, str | None]] = [
        (model.name, model.candidate.version)
        for model in status.models
        if model.candidate is not None and model.candidate.waiting_for
    ]
    if not waiting:
        raise NothingToDoError(
            "No version waits for anything.", hint="edgectl update apply MODEL tries one that was refused once more."
        )
    return waiting
