"""``edgectl update history``: what happened to models on this device, when, who or what caused it, and why."""

import argparse
from datetime import datetime
from typing import Any, Final

from edged.api.documents.updates import DEFAULT_ENTRIES, MOST_ENTRIES
from edged.cli.arguments import whole_number
from edged.cli.exits import Exit
from edged.cli.showing import text_of
from edged.cli.steering import Steering
from edged.cli.table import align, printable
from edged.store.history import Entry, Happening, History

_HEADINGS: Final = ("WHEN", "WHAT", "MODEL", "BY", "WHY")


def add(verbs: Any) -> None:
    """Add the verb to the parser of ``edgectl update``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "history", help="show what happened to models, and who caused it"
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", default="", help="only this model")
    parser.add_argument(
        "--limit",
        metavar="N",
        type=whole_number(least=1, most=MOST_ENTRIES),
        default=DEFAULT_ENTRIES,
        help=f"the newest so many, at most {MOST_ENTRIES} (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the document of /edged/v1/history")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print what happened."""
    history = Steering(args.socket).history(model=args.model, limit=args.limit)
    print(text_of(history, lambda history: render(history, model=args.model), as_json=args.json), end="")
    return Exit.OK


def render(history: History, *, model: str | None = None) -> str:
    """Lay out a history for a person, newest first as it comes; times are local.

    Args:
        history: What happened.
        model: The only one that was asked about; None for all.
    """
    if not history.entries:
        return f"Nothing has happened {'yet' if model is None else f'to a model {printable(model)} here'}.\n"
    return align([_HEADINGS, *(_row(entry) for entry in history.entries)])


def _row(entry: Entry) -> tuple[str, ...]:
    # An hour that comes twice in autumn, and a log from elsewhere, need the offset.
    when = datetime.fromtimestamp(entry.at).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    what, why = entry.what.replace("-", " "), entry.reason
    if entry.what is Happening.SLOT_MOVED:
        event, _, why = entry.reason.partition(": ")
        what = f"slot {entry.slot} {event.replace('-', ' ')}"
    subject = " ".join(part for part in (entry.model, entry.version) if part) or "-"
    return tuple(map(printable, (when, what, subject, entry.cause, why)))
