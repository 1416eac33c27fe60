"""``edge-publish bundle match``: say which variant of a bundle a machine would run, and why not the others."""

import argparse
import json
import tomllib
from pathlib import Path
from typing import Final

from msgspec import to_builtins

from edged.bundle.manifest import Manifest
from edged.cli.table import printable
from edged.codec import convert, decode_json
from edged.errors import DocumentError, Problem, UsageError
from edged.files import read_limited
from edged.publish.commands.bundle.manifests import BUNDLE, manifest_of
from edged.publish.commands.options.printing import add_json, print_json, print_line
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.select.machine import Machine, read_machine
from edged.select.matcher import choose_variant, usable_variants

THIS: Final = "this"
MAX_BYTES: Final = 1 << 20

TEXT = """\
Say which variant of a bundle a machine would run, in which order it would consider the others that fit, and why the rest do not. The same
rules decide on devices. Exit code 1 says that none fits.

The machine is this one, or described in a file, TOML or JSON (bundle match --machine this --json prints one as "machine"):

  arch = "arm64"
  memory_bytes = 3977248768              # as its kernel counts it: MemTotal
  cpu_features = ["neon", "dotprod"]
  runtimes = { onnxruntime = "1.21.0" }
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "match",
        summary="say which variant a machine would run, and why not the others",
        text=TEXT,
        example="edge-publish bundle match build/gauge-1.0.0 --machine raspberry-pi-5.toml",
    )
    parser.add_argument("bundle", type=Path, metavar=BUNDLE, help="a bundle directory or a packed bundle")
    parser.add_argument(
        "--machine", default=THIS, metavar="FILE|this", help="a description of the machine; this one when left out"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the decision."""
    manifest = manifest_of(args.bundle)
    machine = read_machine() if args.machine == THIS else read_description(Path(args.machine))
    if args.json:
        _print_json(manifest, machine)
        return
    decision = choose_variant(manifest, machine)
    print_line(printable(f"{decision.variant.id}: {', '.join(decision.reasons)}"))
    for item in decision.rejected:
        print_line(printable(f"  not {item.variant}: {'; '.join(item.reasons)}"))


def read_description(path: Path) -> Machine:
    """Read the description of a machine, TOML or JSON by the end of its name.

    Raises:
        UsageError: It cannot be read.
        DocumentError: It does not describe a machine.
    """
    try:
        data = read_limited(path, max_bytes=MAX_BYTES, may_wait=True)
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror}", hint="Name a description, or this.") from exc
    if path.suffix == ".json":
        return decode_json(Machine, data, source=str(path))
    try:
        value = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as exc:
        raise DocumentError(
            str(path), [Problem(pointer="", expected="expected a TOML document", found=str(exc))]
        ) from exc
    return convert(Machine, value, source=str(path))


def _print_json(manifest: Manifest, machine: Machine) -> None:
    decision = choose_variant(manifest, machine)
    described = json.loads(json.dumps(to_builtins(machine, order="sorted")))
    print_json(
        {
            "schema": 1,
            "machine": described,
            "variant": decision.variant.id,
            "reasons": list(decision.reasons),
            "usable": [variant.id for variant in usable_variants(manifest, machine)],
            "rejected": [{"variant": item.variant, "reasons": list(item.reasons)} for item in decision.rejected],
        }
    )
