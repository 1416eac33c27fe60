"""``edge-publish bundle build``: make a bundle from a recipe."""

import argparse
import os
from pathlib import Path

from edged.bundle.edgeb import SUFFIX, pack
from edged.errors import UsageError
from edged.publish.building.build import build_bundle
from edged.publish.commands.options.printing import print_line, report
from edged.publish.commands.options.secrets import add_allowed, read_allowed
from edged.publish.commands.options.verb import Verbs, add_verb

TEXT = """\
Make the bundle directory OUT/NAME-VERSION from a recipe: manifest, model files, labels, validation kit and bill of materials.

The recipe is TOML; paths in it are relative to it:

  name = "magika"
  version = "1.0.0"
  files = [{ source = "labels.txt", path = "labels.txt", role = "labels" }]

  [[variants]]
  model = "model.onnx"
  tier = "quality"                       # speed, memory or quality
  precision = "fp32"                     # fp32, fp16, bf16, int8 or int4
  targets = { arch = ["amd64", "arm64"] }
  budget = { latency_ms = 50.0, memory_bytes = 134217728 }

  [pipeline]
  inputs = [{ name = "file", dtype = "BYTES", shape = [1] }]
  pre = [{ op = "bytes_window@1", input = "file", output = "bytes", begin = 1024, end = 1024, block = 4096, padding = 256 }]
  post = [
    { op = "top_k@1", input = "scores", values = "score", indices = "index", k = 1 },
    { op = "labels@1", input = "index", output = "label", file = "labels.txt" },
  ]
  outputs = [{ name = "label", dtype = "BYTES", shape = [1, 1] }]

  [validation]
  kit = "kit"                            # kit/kit.json; the inputs of its samples are relative to it
  tolerance = [{ output = "label" }]

  [provenance]
  source = "https://example.org/magika"
  licence = "Apache-2.0"

The tensors of the model are read from the model; models in other formats (format = "tflite" ...) are carried beside an ONNX one. Steps are
prepared as a device does, so a broken tokenizer or graph is found here. What edge-publish quantize wrote beside a model comes along.

The same recipe and files give the same bytes; SOURCE_DATE_EPOCH, where set, is the time in the bill of materials.

edge-publish bundle init writes a first recipe for a model; edge-publish bundle schema recipe prints every field there is.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "build",
        summary="make a bundle from a recipe",
        text=TEXT,
        example="edge-publish bundle build recipe.toml --out build --edgeb",
    )
    parser.add_argument("recipe", type=Path, metavar="RECIPE.toml", help="what to build")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="where NAME-VERSION is made; one built before is replaced",
    )
    parser.add_argument("--edgeb", action="store_true", help="also write it as one file, NAME-VERSION.edgeb")
    add_allowed(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Build the bundle and print where it is."""
    directory = build_bundle(
        args.recipe,
        args.out,
        report=report,
        built_unix_s=_source_date_epoch(),
        allowed_secrets=read_allowed(args),
    )
    print_line(str(directory))
    if args.edgeb:
        packed = args.out / f"{directory.name}{SUFFIX}"
        pack(directory, packed)
        print_line(str(packed))


def _source_date_epoch() -> int | None:
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise UsageError(f"SOURCE_DATE_EPOCH is {text!r}", hint="Set it to seconds since 1970, or unset it.")
    return int(text)
