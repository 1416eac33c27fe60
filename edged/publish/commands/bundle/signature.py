"""``edge-publish bundle signature``: explain the OpenSSF model signature a bundle carries, and verify it with its makers' key."""

import argparse
from pathlib import Path

from edged.errors import BundleError, UsageError
from edged.publish.building.model_signature import check_signature, read_signature, verify_signature
from edged.publish.commands.bundle.whole import opened
from edged.publish.commands.options.printing import add_json, print_json, print_line
from edged.publish.commands.options.verb import Verbs, add_verb

TEXT = """\
Say what the model signature in a bundle signs, and which of the bundle's models are among it. With --key, verify that it was made by this
key. Devices do not look at it: what they trust is the repository's signatures. Exit code 10 says that the signature is wrong.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "signature",
        summary="explain and verify the OpenSSF model signature that a bundle carries",
        text=TEXT,
        example="edge-publish bundle signature build/magika-1.0.0 --key makers.pub",
    )
    parser.add_argument("bundle", type=Path, metavar="DIR|FILE.edgeb", help="a bundle directory or a packed bundle")
    parser.add_argument("--key", type=Path, metavar="FILE.pub", help="public key (PEM) of the model's makers")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print what the signature says."""
    with opened(args.bundle) as (directory, manifest):
        path = manifest.signature
        if path is None:
            raise BundleError(
                f"{manifest.name} {manifest.version} carries no model signature",
                hint="Name one in the recipe: signature.",
            )
        signature = read_signature(directory / path)
    models = {variant.id: variant.model_file.sha256 for variant in manifest.variants}
    check_signature(signature, models.values(), source=path)
    if args.key is not None:
        verify_signature(signature, _read_key(args.key), source=path)
    covered = [name for name, digest in models.items() if signature.covers(digest)]
    if args.json:
        print_json(
            {
                "schema": 1,
                "path": path,
                "method": signature.method,
                "subject": signature.subject,
                "resources": len(signature.resources),
                "covered": covered,
                "verified": args.key is not None,
            }
        )
        return
    verified = f"verified with {args.key}" if args.key is not None else "not verified: no --key"
    print_line(
        f"{path}: signature by {signature.method} of {signature.subject!r}, files: {len(signature.resources)}; {verified}"
    )
    for name in models:
        print_line(f"  {name}: {'signed' if name in covered else 'not among the files that were signed'}")


def _read_key(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(1 << 16)
    except OSError as exc:
        raise UsageError(f"cannot read the key {path}: {exc.strerror}") from exc
