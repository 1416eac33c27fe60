"""``edge-publish quantize``: make smaller variants of a model, and keep those that answer well enough."""

import argparse
import json
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any, Final, get_args

from edged.bundle.manifest import MetricName
from edged.errors import UsageError, ValidationFailedError
from edged.publish.building.recipe import Recipe, RecipeVariant, read_recipe
from edged.publish.commands.options.printing import add_json, print_json, print_line, report
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.quantize.evaluate import Measure, Result
from edged.publish.quantize.make import CALIBRATORS, METHODS, PRECISIONS, Settings
from edged.publish.quantize.run import Made, Request, quantize
from edged.quantities import bytes_text

NOTABLY: Final = 1.2
"""How many times as long as the reference a variant may take before somebody should be told."""

Cells = tuple[str, str, str, str, str, str]

TEXT = """\
Make variants of the first fp32 ONNX variant of a recipe: int8 (static, QDQ, with a calibration set), int8-dynamic, fp16.

The model and its variants answer an evaluation set whose truth is known, through the recipe's own pipeline. A variant that loses more
than --max-loss of the measure is not kept, and the exit code is 10. Each file that is kept gets MODEL.origin.json beside it, which says
how it was made and how it measured; bundle build takes that into the manifest. Add the printed [[variants]] to the recipe.

A set is an .npz file with an array of rows for each of the model's inputs, and truth.OUTPUT where the truth is known; or a validation
kit. Calibration wants some hundred typical inputs and no truth. Evaluate on other samples than those of the calibration.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_verb(
        verbs,
        "quantize",
        summary="make smaller variants of a model that answer as well",
        text=TEXT,
        example="edge-publish quantize gauge.toml --method int8 --calibration cal.npz --evaluation eval.npz --max-loss 0.3",
    )
    parser.add_argument("recipe", type=Path, metavar="RECIPE.toml", help="its model and its pipeline are used")
    parser.add_argument(
        "--method", action="append", choices=METHODS, required=True, help="what to make; may be given several times"
    )
    parser.add_argument("--calibration", type=Path, metavar="SET", help="inputs that show the ranges (for int8)")
    parser.add_argument("--evaluation", type=Path, required=True, metavar="SET", help="inputs with their truth")
    parser.add_argument(
        "--max-loss",
        required=True,
        metavar="X",
        help="most that the measure may get worse, in its own unit or in percent of the reference's (5%%)",
    )
    parser.add_argument(
        "--metric", choices=get_args(MetricName), help="the measure (the first of the recipe's validation.metrics)"
    )
    parser.add_argument("--output", metavar="NAME", help="the output that is measured (likewise)")
    parser.add_argument("--period", type=float, metavar="X", help="values are on a circle of this length (likewise)")
    parser.add_argument(
        "--calibrate-by", choices=CALIBRATORS, default="minmax", help="how ranges follow from what was seen (minmax)"
    )
    parser.add_argument(
        "--per-tensor", action="store_true", help="one range for each weight, not for each channel of it"
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="NODE", help="leave a node of the graph as it is"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (beside the reference)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Make and judge; a variant that is not kept is an error."""
    recipe = read_recipe(args.recipe)
    measure = _measure(args, recipe)
    is_share, max_loss = _max_loss(args.max_loss)
    request = Request(
        methods=list(dict.fromkeys(args.method)),
        settings=Settings(calibrator=args.calibrate_by, per_channel=not args.per_tensor, exclude=tuple(args.exclude)),
        calibration=args.calibration,
        evaluation=args.evaluation,
        measure=measure,
        max_loss=max_loss,
        is_share=is_share,
        out=args.out,
        command=_command(args),
    )
    before, made, reference = quantize(recipe, args.recipe.parent, request, report=report)
    if args.json:
        print_json({"schema": 1, "reference": _as_json(before), "variants": [_of(item) for item in made]})
    else:
        _print_table(before, made)
        for item in made:
            if item.is_kept:
                print_line()
                for line in _fragment(item, reference, args.recipe.parent):
                    print_line(line)
    if lost := [item for item in made if not item.is_kept]:
        names = ", ".join(item.path.name for item in lost)
        raise ValidationFailedError(
            f"{names} would lose more than {args.max_loss} of {measure.metric}, and was not kept",
            hint="Give a larger calibration set, leave nodes out with --exclude, try --calibrate-by, or train for it.",
        )


def _measure(args: argparse.Namespace, recipe: Recipe) -> Measure:
    limits = recipe.validation.metrics
    if args.metric is None and not limits:
        raise UsageError("there is no measure", hint="Give --metric and --output, or validation.metrics in the recipe.")
    metric = args.metric or limits[0].metric
    output = args.output or (limits[0].output if limits else None)
    if output is None:
        raise UsageError("--metric needs --output", hint="Name the output of the pipeline that is measured.")
    period = args.period if args.period is not None or not limits else limits[0].period
    if period is not None and period <= 0:
        raise UsageError("--period must be above 0", hint="For angles in degrees: --period 360")
    return Measure(metric=metric, output=output, period=period)


def _max_loss(text: str) -> tuple[bool, float]:
    number = text.removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UsageError(
            f"--max-loss {text}: expected a number of at least 0", hint="For example: --max-loss 0.3 or 5%"
        )
    return text != number, value / 100 if text != number else value


def _command(args: argparse.Namespace) -> str:
    """Say how the command was called, with the names of files and without where they are."""
    words = ["edge-publish quantize", args.recipe.name]
    words += [f"--method {method}" for method in dict.fromkeys(args.method)]
    words += [f"--{key} {path.name}" for key in ("calibration", "evaluation") if (path := getattr(args, key))]
    words += [f"--max-loss {args.max_loss}"]
    words += [f"--{key} {value}" for key in ("metric", "output", "period") if (value := getattr(args, key)) is not None]
    words += [f"--calibrate-by {args.calibrate_by}"] * (args.calibrate_by != "minmax")
    words += ["--per-tensor"] * args.per_tensor + [f"--exclude {node}" for node in args.exclude]
    return " ".join(words)


def _print_table(before: Result, made: list[Made]) -> None:
    head: Cells = ("model", "size", "a run", before.metric.metric, "loss", "")
    rows = [head, _row(before, "", "reference")]
    rows += [_row(item.result, f"{item.loss:+.4g}", _verdict(item, before)) for item in made]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:5], widths[1:5], strict=True)),
        ]
        print_line("  ".join([*cells, row[5]]).rstrip())
    print_line(
        f"measured on {before.metric.samples} rows; a run is the median of the model alone in one thread, all asked in turn"
    )


def _verdict(item: Made, before: Result) -> str:
    if not item.is_kept:
        return "NOT KEPT"
    return "kept, but slower here" if item.result.latency_ms > NOTABLY * before.latency_ms else "kept"


def _row(result: Result, lost: str, verdict: str) -> Cells:
    figures = (bytes_text(result.size_bytes), f"{result.latency_ms:.3g} ms", f"{result.metric.value:.4g}")
    return (result.name, *figures, lost, verdict)


def _fragment(item: Made, reference: RecipeVariant, base: Path) -> Iterator[str]:
    """Write the variant as the recipe wants it; what the file and its precision do not say is the reference's."""
    try:
        path = item.path.resolve().relative_to(base.resolve())
    except ValueError:
        path = item.path
    budget, targets = reference.budget, reference.targets
    yield "[[variants]]"
    yield f'model = "{path}"'
    yield f'tier = "{"memory" if item.method == "fp16" else "speed"}"'
    yield f'precision = "{PRECISIONS[item.method]}"'
    yield f"targets = {{ arch = {json.dumps(targets.arch)}, min_memory_bytes = {targets.min_memory_bytes} }}"
    yield f"budget = {{ latency_ms = {budget.latency_ms:g}, memory_bytes = {budget.memory_bytes} }}"
    if reference.batching is not None:
        yield f"batching = {{ max_rows = {reference.batching.max_rows} }}"
    if reference.state:
        states = ", ".join(f'{{ input = "{s.input}", output = "{s.output}" }}' for s in reference.state)
        yield f"state = [{states}]"


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "model": result.name,
        "size_bytes": result.size_bytes,
        "latency_ms": result.latency_ms,
        "metric": result.metric.metric,
        "output": result.metric.output,
        "value": _number(result.metric.value),
        "samples": result.metric.samples,
    }


def _of(item: Made) -> dict[str, Any]:
    return _as_json(item.result) | {"method": item.method, "loss": _number(item.loss), "kept": item.is_kept}


def _number(value: float) -> float | None:
    """Return what JSON can carry: it has no infinity, which a measure is when an answer is NaN."""
    return value if isfinite(value) else None
