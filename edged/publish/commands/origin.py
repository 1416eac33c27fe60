"""``edge-publish origin``: say where a model file came from, for files that edge-publish did not make."""

import argparse
from pathlib import Path
from typing import get_args

from edged.bundle.manifest import Ingredient, Making, Origin, OriginMethod
from edged.errors import UsageError
from edged.files import hash_file
from edged.ids import Digest
from edged.publish.building.sidecar import read_sidecar, write_sidecar
from edged.publish.commands.options.printing import print_line
from edged.publish.commands.options.verb import Verbs, add_verb

TEXT = """\
Write MODEL.origin.json beside a model file: how the file was made, from which other, with which tools and inputs. bundle build takes it
into the manifest. quantize and convert write it themselves; this is for what comes from elsewhere, such as quantization-aware training,
distillation, or another exporter.

The file is named by its SHA-256, so that what was said of it is never taken for another file of the same name. Measures that quantize
wrote about the same file are kept.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_verb(
        verbs,
        "origin",
        summary="say where a model file came from",
        text=TEXT,
        example="edge-publish origin small.onnx --method distilled --made-from teacher.onnx --how 'distil.py --epochs 40'",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="the file (of several, the one the recipe names)")
    parser.add_argument("--method", choices=get_args(OriginMethod), required=True, help="how it was made")
    parser.add_argument(
        "--made-from", type=Path, metavar="FILE", help="the model it was made from; a distilled one's teacher"
    )
    parser.add_argument("--how", metavar="COMMAND", help="the command, without paths of this machine")
    parser.add_argument(
        "--tool", action="append", default=[], metavar="NAME=VERSION", help="what made it; may be given several times"
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="what went in: settings, sets of samples",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the file and print where it is."""
    if args.how is None and (args.tool or args.input):
        raise UsageError("--tool and --input need --how", hint="Say with --how by which command the file was made.")
    making = None
    if args.how is not None:
        inputs = tuple(Ingredient(name=path.name, sha256=_digest(path)) for path in args.input)
        making = Making(tools=_tools(args.tool), command=args.how, inputs=inputs)
    made_from = None if args.made_from is None else _digest(args.made_from)
    _digest(args.model)
    known = read_sidecar(args.model)
    origin = Origin(method=args.method, made_from=made_from, making=making)
    path = write_sidecar(args.model, origin=origin, metrics=known.metrics if known else ())
    print_line(str(path))


def _tools(settings: list[str]) -> dict[str, str]:
    tools = dict(setting.partition("=")[::2] for setting in settings)
    if wrong := [name for name, version in tools.items() if not name or not version]:
        raise UsageError(f"--tool {wrong[0]}: expected a name and a version", hint="For example: --tool torch=2.13.0")
    return tools


def _digest(path: Path) -> Digest:
    try:
        return hash_file(path)[0]
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror}") from exc
