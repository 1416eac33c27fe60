"""``edge-publish bundle show``: explain a bundle to a person."""

import argparse
import sys
from pathlib import Path

from edged.cli.table import printable
from edged.codec import encode_readable
from edged.publish.commands.bundle.manifests import BUNDLE, manifest_of
from edged.publish.commands.options.printing import add_json, print_line
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.review.explain import explain

TEXT = """\
Explain a bundle: where it comes from and how it was made, where each variant runs and what it may cost, what apps send and receive with the
type of the data after each step, and what the answers are measured by. --json prints its manifest.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "show",
        summary="explain a bundle",
        text=TEXT,
        example="edge-publish bundle show build/magika-1.0.0.edgeb",
    )
    parser.add_argument("bundle", type=Path, metavar=BUNDLE, help="a bundle directory or a packed bundle")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print what the manifest says."""
    manifest = manifest_of(args.bundle)
    if args.json:
        sys.stdout.write(encode_readable(manifest).decode())
        return
    for line in explain(manifest):
        print_line(printable(line))
