"""``edge-publish bundle init``: write a first recipe beside a model."""

import argparse
import re
from pathlib import Path

from edged.errors import UsageError
from edged.ids import MODEL_NAME_PATTERN
from edged.onnx.safety import check_model
from edged.publish.building.first_recipe import first_recipe, name_from, precision_of
from edged.publish.commands.options.printing import print_line, report
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.formats.onnx import read_tensors

TEXT = """\
Write a first recipe beside an ONNX model, NAME.toml. What can be read from the model is filled in (tensors, number format, size); every
other field has a value to begin with and a comment that explains it. Nothing that exists is replaced.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "init",
        summary="write a first recipe beside a model",
        text=TEXT,
        example="edge-publish bundle init models/gauge.onnx --name gauge",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.onnx", help="the model")
    parser.add_argument("--name", help="what apps will ask for; made from the file's name when left out")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the recipe and print where it is."""
    model: Path = args.model
    name = args.name if args.name is not None else name_from(model.stem)
    if not re.fullmatch(MODEL_NAME_PATTERN, name):
        raise UsageError(
            f"{name!r} cannot be a model's name",
            hint="Use lower-case letters, digits, dots, dashes and underscores, at most 63, the first a letter or digit.",
        )
    try:
        data = model.read_bytes()
    except OSError as exc:
        raise UsageError(f"cannot read {model}: {exc.strerror}", hint="Name an ONNX file.") from exc
    check_model(data)
    inputs, outputs = read_tensors(data)
    recipe = model.with_name(f"{name}.toml")
    text = first_recipe(
        name=name,
        file=model.name,
        size_bytes=len(data),
        precision=precision_of(data),
        inputs=inputs,
        outputs=outputs,
    )
    try:
        with recipe.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as exc:
        raise UsageError(f"{recipe} exists already", hint="Give another --name, or move it away.") from exc
    print_line(str(recipe))
    report("next: make a validation kit, then edge-publish bundle build")
