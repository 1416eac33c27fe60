"""``edgectl flags``: the fleet's feature flags, and what each of them is on this device."""

import argparse
import urllib.parse
from typing import Any, Final

from edged.api.documents.flags import FLAGS_PATH, FlagDocument, FlagsDocument
from edged.cli.exits import Exit
from edged.cli.http import Client
from edged.cli.showing import text_of
from edged.cli.table import align, printable
from edged.codec import encode_readable
from edged.ops.flags import FlagValue

_HEADINGS: Final = ("FLAG", "VALUE")


def add(verbs: Any) -> None:
    """Add the verb to edgectl's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser("flags", help="list the feature flags as they are here")
    parser.add_argument("name", nargs="?", metavar="FLAG", help="print the value of this one alone")
    parser.add_argument("--json", action="store_true", help=f"print the document of {FLAGS_PATH}")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print the flags, or one of them."""
    client = Client(args.socket)
    if args.name is None:
        listed = client.get(FLAGS_PATH, FlagsDocument)
        print(text_of(listed, render, as_json=args.json), end="")
    else:
        flag = client.get(f"{FLAGS_PATH}/{urllib.parse.quote(args.name, safe='')}", FlagDocument)
        print(encode_readable(flag).decode() if args.json else f"{value_text(flag.value)}\n", end="")
    return Exit.OK


def render(listed: FlagsDocument) -> str:
    """Lay out flags for a person."""
    if not listed.flags:
        return "No feature flag is in force on this device.\n"
    return align([_HEADINGS, *((name, value_text(value)) for name, value in listed.flags.items())])


def value_text(value: FlagValue) -> str:
    """Write a value as a person reads it: true, 0.5, a text."""
    return str(value).lower() if isinstance(value, bool) else printable(str(value))
