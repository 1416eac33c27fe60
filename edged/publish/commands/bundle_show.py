"""``edge-publish bundle show``: explain a bundle to a person."""

import argparse
import sys
from pathlib import Path

from edged.bundle.edgeb import read_manifest, read_packed_manifest
from edged.codec import encode_readable
from edged.errors import UsageError
from edged.publish.commands.options import Verbs, add_json, add_verb, print_line
from edged.publish.explain import explain


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "show",
        summary="explain a bundle",
        text="Explain a bundle: what it is, where it runs, what apps send and receive. --json prints its manifest.",
        example="edge-publish bundle show build/magika-1.0.0.edgeb",
    )
    parser.add_argument("bundle", type=Path, metavar="DIR|FILE.edgeb", help="a bundle directory or a packed bundle")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print what the manifest says."""
    if not args.bundle.exists():
        raise UsageError(f"there is no {args.bundle}", hint="Name a bundle directory or a .edgeb file.")
    manifest = read_manifest(args.bundle)[1] if args.bundle.is_dir() else read_packed_manifest(args.bundle)
    if args.json:
        sys.stdout.write(encode_readable(manifest).decode())
        return
    for line in explain(manifest):
        print_line(line)
