"""``edge-publish keys export-public``: the part of a key that may be handed over."""

import argparse
from pathlib import Path

from edged.publish.commands.options.keys import add_keys, open_keyring
from edged.publish.commands.options.printing import print_line
from edged.publish.commands.options.verb import Verbs, add_verb

TEXT = """\
Write the public part of a key to a file, for whoever makes the repository (edge-publish init --root-public). The private key is opened
to make sure that the two belong together, and stays where it is. Read the key ID that is printed to them, over the telephone or face to
face: that is how they know that the file is yours.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "export-public",
        summary="write the public part of a key to a file",
        text=TEXT,
        example="edge-publish keys export-public root-alice --keys /media/alice --out alice.pub",
    )
    parser.add_argument("name", metavar="NAME", help="which key")
    add_keys(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to (NAME.pub in this directory)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the public part."""
    target = args.out or Path(f"{args.name}.pub")
    public = open_keyring(args).export_public(args.name, target)
    print_line(f"{target}  {public.keyid}")
