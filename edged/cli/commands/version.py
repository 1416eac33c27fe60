"""``edgectl version``: which edged this is, and which one runs."""

import argparse
import json
from typing import Any

import msgspec

from edged import __version__
from edged.cli.exits import Exit
from edged.cli.http import Client
from edged.errors import DaemonUnreachableError, NotPermittedError


class _Server(msgspec.Struct, frozen=True, kw_only=True):
    """The server metadata of the Open Inference Protocol, as far as it is used."""

    version: str


def add(verbs: Any) -> None:
    """Add the verb to edgectl's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "version", help="show the versions of edgectl and of the running daemon"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print both versions; a daemon that does not answer has none."""
    daemon: str | None
    try:
        daemon = Client(args.socket).get("/v2", _Server).version
    except (DaemonUnreachableError, NotPermittedError):
        daemon = None
    if args.json:
        print(json.dumps({"schema": 1, "edgectl": __version__, "daemon": daemon}))
    else:
        print(f"edgectl {__version__}\nedged   {daemon or 'does not answer'}")
    return Exit.OK
