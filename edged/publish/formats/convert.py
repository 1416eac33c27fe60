"""Make an alternate of an ONNX model in another format, and say beside it where it came from.

OpenVINO's converter is an optional extra (``pip install 'edged[openvino]'``): it is not in Debian. What it makes is run beside the
original on inputs of its own before it is kept, because a conversion that answers otherwise is a mistake of whoever publishes it.
"""

import contextlib
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from edged import __version__
from edged.bundle.manifest import Ingredient, Making, Origin
from edged.errors import BundleError, UsageError, ValidationFailedError
from edged.files import hash_bytes, replace_durably
from edged.onnx.safety import check_model
from edged.pipeline.kernels import Array
from edged.pipeline.spec import TensorSpec
from edged.publish.building.sidecar import write_sidecar
from edged.publish.formats.onnx import read_tensors
from edged.publish.quantize.make import Settings, load_tools, make_variant, tool_versions
from edged.worker.arrays import NUMPY
from edged.worker.backends.ort import OnnxRuntime

FREE_AXIS: Final = 2
"""What an axis of any size is when a conversion is tried."""
MAX_TRIED_ELEMENTS: Final = 1 << 26
_SEED: Final = 20261122


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What a conversion made."""

    path: Path
    largest_difference: float
    """Of any element of an output from ONNX Runtime's, relative to the largest element of that output."""


def to_half(model: Path, out: Path, *, most: float) -> Converted:
    """Make an fp16 copy, ``NAME-fp16.onnx`` in ``out``, with inputs and outputs as they were.

    Raises:
        UsageError: The model cannot be read.
        BundleError: It cannot be converted.
        ValidationFailedError: What was made answers too differently; nothing is kept.
    """
    load_tools()
    data = _read(model)
    inputs, outputs = read_tensors(data)
    made = make_variant(data, "fp16", Settings())
    check_model(made)
    tried = _inputs(inputs)
    worst = _difference(_by_onnx(data, inputs, outputs, tried), _by_onnx(made, inputs, outputs, tried))
    path = out / f"{model.stem.removesuffix('-fp32')}-fp16.onnx"
    _refuse(path, worst, most)
    out.mkdir(parents=True, exist_ok=True)
    replace_durably(path, made)
    _say(path, model, data, tool_versions(), f"edge-publish convert {model.name} --to fp16")
    return Converted(path=path, largest_difference=worst)


def to_openvino(model: Path, out: Path, *, most: float) -> Converted:
    """Make an OpenVINO model, ``NAME.xml`` and ``NAME.bin`` in ``out``, with weights in the precision they have.

    Raises:
        UsageError: The model cannot be read, or OpenVINO is not installed.
        BundleError: It cannot be converted.
        ValidationFailedError: What was made answers too differently; nothing is kept.
    """
    openvino = _openvino()
    data = _read(model)
    inputs, outputs = read_tensors(data)
    path = out / f"{model.stem}.xml"
    out.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            core = openvino.Core()
            # Not openvino.convert_model, which does the same and reports to its maker that it was used.
            openvino.save_model(core.read_model(str(model)), str(path), compress_to_fp16=False)
            # On processors with arithmetic for bf16 it would otherwise try the processor and not the conversion.
            compiled = core.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            tried = _inputs(inputs)
            answers = compiled(dict(tried))
            given = {name: np.asarray(answers[name]) for name in (spec.name for spec in outputs)}
    # It has no common base class for its errors.
    except Exception as exc:
        _remove(path)
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[-1]
        raise BundleError(f"OpenVINO cannot convert {model}: {reason}", hint="Publish the ONNX model alone.") from exc
    worst = _difference(_by_onnx(data, inputs, outputs, tried), given)
    if not worst <= most:
        _remove(path)
    _refuse(path, worst, most)
    tools = {"edged": __version__, "openvino": version("openvino")}
    _say(path, model, data, tools, f"edge-publish convert {model.name} --to openvino")
    return Converted(path=path, largest_difference=worst)


def _openvino() -> ModuleType:
    try:
        import openvino  # noqa: PLC0415 - an optional extra
    except ImportError as exc:
        raise UsageError("OpenVINO is not installed", hint="Install it: pip install 'edged[openvino]'.") from exc
    module: ModuleType = openvino
    return module


def _read(model: Path) -> bytes:
    try:
        data = model.read_bytes()
    except OSError as exc:
        raise UsageError(f"cannot read the model {model}: {exc.strerror}") from exc
    check_model(data)
    return data


def _inputs(specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """Make inputs to try a model with: small numbers, the same each time."""
    random = np.random.default_rng(_SEED)
    arrays: dict[str, Array] = {}
    for spec in specs:
        shape = [FREE_AXIS if axis < 0 else axis for axis in spec.shape]
        if spec.dtype == "BYTES" or prod(shape) > MAX_TRIED_ELEMENTS:
            raise BundleError(f"input {spec.name} is {spec}, with which a conversion cannot be tried")
        values = random.random(shape) if NUMPY[spec.dtype].kind == "f" else random.integers(0, 2, shape)
        arrays[spec.name] = values.astype(NUMPY[spec.dtype])
    return arrays


def _by_onnx(
    data: bytes, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], tried: Mapping[str, Array]
) -> Mapping[str, Array]:
    session = OnnxRuntime().load_graph(data, inputs, outputs)
    return session.run(tried, session.new_stop())


def _difference(wanted: Mapping[str, Array], given: Mapping[str, Array]) -> float:
    worst = 0.0
    for name, array in wanted.items():
        reference: Any = np.asarray(array, dtype=np.float64)
        other: Any = np.asarray(given[name], dtype=np.float64)
        if reference.shape != other.shape:
            raise BundleError(
                f"output {name} has shape {list(other.shape)} after conversion, before {list(reference.shape)}"
            )
        if reference.size:
            scale = float(np.abs(reference).max()) or 1.0
            off = np.abs(other - reference)
            worst = max(worst, float("inf") if np.isnan(off).any() else float(off.max()) / scale)
    return worst


def _refuse(path: Path, worst: float, most: float) -> None:
    if not worst <= most:
        raise ValidationFailedError(
            f"{path.name} answers otherwise: an element is off by {worst:.2g} of the largest, {most:g} is allowed",
            hint="It was not kept. Allow more with --max-difference where a validation kit decides.",
        )


def _say(path: Path, model: Path, data: bytes, tools: dict[str, str], command: str) -> None:
    digest = hash_bytes(data)
    making = Making(tools=tools, command=command, inputs=(Ingredient(name=model.name, sha256=digest),))
    write_sidecar(path, origin=Origin(method="converted", made_from=digest, making=making))


def _remove(path: Path) -> None:
    for file in (path, path.with_suffix(".bin")):
        file.unlink(missing_ok=True)
