"""Show a document of the API: to a program as it is, to a person as a page; once, or again and again in the same place of a terminal."""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

from edged.cli.folding import fitted
from edged.cli.http import Client
from edged.codec import Document, encode_readable

T = TypeVar("T", bound=Document)

WATCH_S: Final = 2.0
_CLEAR: Final = "\x1b[H\x1b[2J"


def add_watching(parser: argparse.ArgumentParser, path: str) -> None:
    """Add the options that ``show`` reads.

    Args:
        parser: Of the verb.
        path: Of the document.
    """
    parser.add_argument("--json", action="store_true", help=f"print the document of {path}")
    parser.add_argument("--watch", action="store_true", help=f"show it anew every {WATCH_S:g} s until interrupted")


def show(args: argparse.Namespace, path: str, kind: type[T], page: Callable[[T], str]) -> T:
    """Print a document, once or until interrupted.

    Args:
        args: With the options of ``add_watching``.
        path: Where the API has it.
        kind: What it is.
        page: Lays it out for a person.

    Returns:
        The document, when it is shown once.
    """
    client = Client(args.socket)
    while True:
        document = client.get(path, kind)
        text = text_of(document, page, as_json=args.json)
        print((_CLEAR if args.watch and sys.stdout.isatty() else "") + text, end="", flush=True)
        if not args.watch:
            return document
        time.sleep(WATCH_S)


def text_of(document: T, page: Callable[[T], str], *, as_json: bool) -> str:
    """Return a document as it is printed.

    Args:
        document: To be printed.
        page: Lays it out for a person; folded to the terminal.
        as_json: Print the document itself.
    """
    return encode_readable(document).decode() if as_json else fitted(page(document))
