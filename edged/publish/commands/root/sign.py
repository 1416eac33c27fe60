"""``edge-publish root sign``: sign a root that is elsewhere, with one key that never leaves its holder."""

import argparse
import sys
from pathlib import Path

from edged.errors import UsageError
from edged.publish.commands.options.keys import read_passphrase
from edged.publish.commands.options.printing import print_line, report
from edged.publish.commands.options.terminal import Terminal
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.commands.root.show import describe_root
from edged.publish.keys.directory import Keyring
from edged.publish.root.pending import read_root_file, sign_root_file

TEXT = """\
Sign a copy of a root that waits for signatures. This needs no repository and no network. It writes a small file that ends in .sig beside
the copy; whoever asked for the signature puts it beside the original. The key stays where it is.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "sign",
        summary="sign a root with a key that is here",
        text=TEXT,
        example="edge-publish root sign 1.root.json --key /media/alice/root-alice.pem",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="N.root.json")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE.pem", help="the private key")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to (a .sig file beside FILE)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Sign the root."""
    if args.key.suffix != ".pem":
        raise UsageError(f"{args.key} is not the name of a private key", hint="It ends in .pem.")
    _, metadata = read_root_file(args.file)
    for line in describe_root(metadata.signed):
        report(line)
    ring = Keyring(
        directory=args.key.parent,
        passphrase=read_passphrase(),
        asker=Terminal() if sys.stdin.isatty() else None,
    )
    print_line(str(sign_root_file(args.file, ring.signer(args.key.stem), args.out)))
