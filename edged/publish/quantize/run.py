"""Quantize the reference variant of a recipe, and keep what answers well enough."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final

from edged.bundle.manifest import Ingredient, Making, Origin
from edged.errors import BundleError, UsageError
from edged.files import hash_bytes, replace_durably
from edged.onnx.safety import check_model
from edged.pipeline.kernels import Stage, compile_stage
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.spec import TensorSpec
from edged.publish.building.recipe import Recipe, RecipeVariant
from edged.publish.building.sidecar import read_sidecar, sidecar_path, write_sidecar
from edged.publish.formats.onnx import read_tensors
from edged.publish.quantize.evaluate import Candidate, Measure, Result, evaluate, loss
from edged.publish.quantize.make import ORIGINS, Method, Settings, load_tools, make_variant, tool_versions
from edged.publish.quantize.rows import Rows, read_rows
from edged.worker.backends.ort import OnnxRuntime
from edged.worker.graphs import Graphs

Report = Callable[[str], None]
_REFERENCE_SUFFIX: Final = "-fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is wanted."""

    methods: Sequence[Method]
    settings: Settings
    calibration: Path | None
    evaluation: Path
    measure: Measure
    max_loss: float
    """In the unit of the measure, or a share of what the reference has."""
    is_share: bool
    out: Path | None
    """Directory of the new files; None is that of the reference."""
    command: str
    """How it was asked for, without paths of this machine; goes into the origin of what is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A variant that was made, and the judgement on it."""

    method: Method
    path: Path
    result: Result
    loss: float
    """In the unit of the measure; below 0 when it is better than the reference."""
    is_kept: bool


def quantize(
    recipe: Recipe, base: Path, request: Request, *, report: Report
) -> tuple[Result, list[Made], RecipeVariant]:
    """Make variants of the first ONNX variant of a recipe.

    Args:
        recipe: Its pipeline runs before and after the model.
        base: Directory that paths in the recipe are relative to.
        request: What to make.
        report: Told a line for each step.

    Returns:
        What the reference was found to be, what was made of it in the order of the methods, and the variant that is the reference. Files of
        variants that lose too much are not written, and those from before are removed: a bundle must not be built of them by mistake.

    Raises:
        UsageError: Something that was named is not there.
        BundleError: The model cannot be quantized, or the sets do not fit it.
        ManifestError: A kit or a sidecar is not one.
        OSError: A file cannot be written.
    """
    reference = _reference(recipe)
    promised = [spec.name for spec in recipe.pipeline.outputs]
    if request.measure.output not in promised:
        raise UsageError(f"the pipeline has no output {request.measure.output}", hint=f"It has {', '.join(promised)}.")
    source = base / reference.model
    try:
        model = source.read_bytes()
    except OSError as exc:
        raise UsageError(f"cannot read the model {source}: {exc.strerror}") from exc
    load_tools()
    check_model(model)
    inputs, outputs = read_tensors(model)
    pre, post = _stages(recipe, base)
    report(f"read {request.evaluation}")
    evaluation = read_rows(request.evaluation, recipe.pipeline, pre, inputs)
    rows = evaluation.with_truth(request.measure.output)
    if not rows:
        raise BundleError(
            f"{request.evaluation} does not say the truth of {request.measure.output}",
            hint=f"Put it in: an array truth.{request.measure.output}, or truth in the samples of a kit.",
        )
    calibration = _calibration(request, recipe.pipeline, pre, inputs)
    variants: list[bytes] = []
    for method in request.methods:
        report(f"make {method} of {source.name}")
        variants.append(make_variant(model, method, request.settings, [row.feed for row in calibration.rows]))
        check_model(variants[-1])
    paths = [_path(source, request.out, method) for method in request.methods]
    report(f"evaluate on {len(rows)} rows")
    candidates = [
        Candidate(name=path.name, model=data) for path, data in zip([source, *paths], [model, *variants], strict=True)
    ]
    before, *results = evaluate(candidates, rows, inputs=inputs, outputs=outputs, post=post, measure_by=request.measure)
    if not isfinite(before.metric.value):
        raise BundleError(
            f"{source.name} gives answers that are no numbers", hint="Mend the model before it is made smaller."
        )
    known = read_sidecar(source)
    most = request.max_loss * (before.metric.value if request.is_share else 1.0)
    made = []
    for method, path, data, result in zip(request.methods, paths, variants, results, strict=True):
        lost = loss(before.metric, result.metric)
        made.append(Made(method=method, path=path, result=result, loss=lost, is_kept=lost <= most))
        if not made[-1].is_kept:
            path.unlink(missing_ok=True)
            sidecar_path(path).unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(path, data)
        # Only the static method looks at the calibration set.
        of_set = calibration.ingredients if method == "int8" else ()
        ingredients = (Ingredient(name=source.name, sha256=hash_bytes(model)), *of_set, *evaluation.ingredients)
        making = Making(tools=tool_versions(), command=request.command, inputs=tuple(dict.fromkeys(ingredients)))
        origin = Origin(method=ORIGINS[method], made_from=hash_bytes(model), making=making)
        write_sidecar(path, origin=origin, metrics=(result.metric,))
        report(f"wrote {path}")
    # Last: where a variant cannot be written, what is said of the reference is still that of the variants that are there.
    write_sidecar(source, origin=known.origin if known else Origin(method="exported"), metrics=(before.metric,))
    return before, made, reference


def _reference(recipe: Recipe) -> RecipeVariant:
    for variant in recipe.variants:
        if (variant.format, variant.precision) == ("onnx", "fp32"):
            return variant
    raise UsageError(
        "the recipe has no ONNX variant in fp32", hint="Quantization starts from one; add it as a variant."
    )


def _stages(recipe: Recipe, base: Path) -> tuple[Stage, Stage]:
    files = {}
    for file in recipe.files:
        try:
            files[file.path] = (base / file.source).read_bytes()
        except OSError as exc:
            raise UsageError(f"cannot read {base / file.source}: {exc.strerror}") from exc
    load = Graphs(OnnxRuntime()).load
    return compile_stage(recipe.pipeline.pre, files, load), compile_stage(recipe.pipeline.post, files, load)


def _calibration(request: Request, pipeline: Pipeline, pre: Stage, inputs: Sequence[TensorSpec]) -> Rows:
    if "int8" not in request.methods:
        return Rows(rows=(), ingredients=())
    if request.calibration is None:
        raise UsageError(
            "int8 needs a calibration set", hint="Name one with --calibration, or use --method int8-dynamic."
        )
    return read_rows(request.calibration, pipeline, pre, inputs)


def _path(source: Path, out: Path | None, method: Method) -> Path:
    return (out or source.parent) / f"{source.stem.removesuffix(_REFERENCE_SUFFIX)}-{method}.onnx"
