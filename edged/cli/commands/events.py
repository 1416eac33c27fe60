"""``edgectl events``: what happens on the device, as it happens."""

import argparse
import json
import sys
import time
from typing import Any

from edged.api.documents.events import EVENT_TYPES, EVENTS_PATH
from edged.cli.event_page import line
from edged.cli.event_stream import EventStream, StreamEvent
from edged.cli.exits import Exit
from edged.cli.folding import fitted


def add(verbs: Any) -> None:
    """Add the verb to edgectl's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "events", help="show what happens on the device as it happens, until interrupted"
    )
    parser.add_argument("--types", metavar="TYPE,...", default="", help=f"only these, of {', '.join(EVENT_TYPES)}")
    parser.add_argument(
        "--since", metavar="ID", default="", help="begin with what came after the event of this ID, as --json shows it"
    )
    parser.add_argument("--no-follow", action="store_true", help="end with what is known; 0-0 as ID means everything")
    parser.add_argument(
        "--json", action="store_true", help=f"print each event of {EVENTS_PATH} as a line of JSON: id, type, data"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print events until interrupted, or until there are no more."""
    for event in EventStream(args.socket, types=args.types, since=args.since, follows=not args.no_follow):
        print(f"{_as_json(event)}\n" if args.json else fitted(f"{line(event, now_s=time.time())}\n"), end="")
        # Whoever reads this from a pipe wants it now.
        sys.stdout.flush()
    return Exit.OK


def _as_json(event: StreamEvent) -> str:
    return json.dumps({"schema": 1, "id": event.id, "type": event.type, "data": json.loads(event.data)})
