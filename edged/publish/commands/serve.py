"""``edge-publish serve``: a local test host."""

import argparse
from pathlib import Path
from typing import Final

from edged.errors import UsageError
from edged.publish.commands.options.printing import print_line
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.repository.server import StaticServer

_BYTES_PER_KB: Final = 1000

TEXT = """\
Serve a repository as static files on this machine, with byte ranges and ETags, until interrupted. For trying things out: in production
any web server does.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_verb(
        verbs,
        "serve",
        summary="serve a repository as static files, for tests",
        text=TEXT,
        example="edge-publish serve repo --port 8080",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="the repository")
    parser.add_argument("--port", type=int, required=True, metavar="N", help="TCP port; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--access-log", action="store_true", help="print one line for each request")
    parser.add_argument(
        "--rate",
        type=float,
        default=0.0,
        metavar="KB/S",
        help="send each file no faster than so many kilobytes a second",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Serve until interrupted."""
    if not args.directory.is_dir():
        raise UsageError(
            f"there is no directory {args.directory}", hint="Make a repository: edge-publish init DIR --keys KEYS."
        )
    if not 0 <= args.rate < float("inf"):
        raise UsageError(f"--rate {args.rate:g} is no rate", hint="Give kilobytes a second; 0 is as fast as can be.")
    try:
        server = StaticServer(
            args.directory,
            host=args.host,
            port=args.port,
            prints_access=args.access_log,
            bytes_per_s=args.rate * _BYTES_PER_KB,
        )
    except (OSError, OverflowError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "expected a port from 0 to 65535"
        raise UsageError(
            f"cannot listen on {args.host} port {args.port}: {reason}", hint="Choose another port."
        ) from exc
    with server:
        try:
            print_line(server.url)
            server.serve_forever()
        except KeyboardInterrupt:
            return
