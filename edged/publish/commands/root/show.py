"""``edge-publish root show``: what a root says, in words for the holder of one of its keys."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from tuf.api.metadata import Root

from edged.files import hash_bytes
from edged.publish.commands.options.printing import print_line
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.repository.roles import TOP_ROLES
from edged.publish.root.pending import read_root_file
from edged.publish.root.texts import spoken

TEXT = """\
Say what a root's file names: its version, until when it holds, its keys with their IDs, and how many must sign. Look at it before you
sign it, and compare the key IDs with those you were told by another way. The SHA-256 is that of the whole file.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "show",
        summary="say what a root names",
        text=TEXT,
        example="edge-publish root show repo.pending/1.root.json",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="N.root.json, signed or not")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print what the root says."""
    data, metadata = read_root_file(args.file)
    for line in describe_root(metadata.signed):
        print_line(line)
    print_line(f"SHA-256 {hash_bytes(data)}")


def describe_root(root: Root) -> Iterator[str]:
    """Say what a root names, line by line."""
    yield f"root, version {root.version}, holds until {root.expires:%Y-%m-%d}"
    for name in (Root.type, *TOP_ROLES):
        role = root.roles[name]
        yield f"{name}: {role.threshold} of {len(role.keyids)} must sign"
        for keyid in role.keyids:
            yield f"  {spoken(keyid)}"
