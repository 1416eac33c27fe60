"""``edge-publish convert``: make an alternate of an ONNX model in another format."""

import argparse
from pathlib import Path
from typing import Final

from edged.errors import UsageError
from edged.publish.commands.options.printing import print_line, report
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.formats.convert import to_half, to_openvino

TEXT = """\
Make an alternate of an ONNX model: an OpenVINO model (NAME.xml and NAME.bin; needs pip install 'edged[openvino]'), or the same model in
half precision (NAME-fp16.onnx).

What was made is run beside the original, and not kept when it answers otherwise. MODEL.origin.json beside it says where it came from;
bundle build takes that into the manifest. Models in other formats (.tflite, .pte, .mlpackage, TensorRT engines) need no conversion: name
them in the recipe.
"""
_CONVERTERS = {"openvino": to_openvino, "fp16": to_half}
MOST: Final = 2e-2
"""A conversion that went wrong is off by as much as the answers are large; one that rounds, by far less."""


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_verb(
        verbs,
        "convert",
        summary="make an alternate of a model in another format",
        text=TEXT,
        example="edge-publish convert gauge-fp32.onnx --to openvino --out alternates",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.onnx", help="what to convert")
    parser.add_argument("--to", choices=sorted(_CONVERTERS), required=True, help="the format")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (beside the model)")
    parser.add_argument(
        "--max-difference",
        type=float,
        metavar="X",
        default=MOST,
        help=f"most that an element of an output may be off, as a share of the largest ({MOST:g})",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Convert and print where the result is."""
    if not args.max_difference >= 0:
        raise UsageError("--max-difference must be at least 0", hint="For example: --max-difference 0.01")
    report(f"convert {args.model} to {args.to}")
    made = _CONVERTERS[args.to](args.model, args.out or args.model.parent, most=args.max_difference)
    report(f"answers as the original does, within {made.largest_difference:.2g} of the largest element")
    print_line(str(made.path))
