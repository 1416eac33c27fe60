"""Make a smaller variant of an ONNX model with the tools of ONNX Runtime.

- ``int8``: weights and activations in 8 bits, as pairs of QuantizeLinear and DequantizeLinear around the operators (QDQ), with ranges
  found by running the model on a calibration set. Weights per channel unless told otherwise.
- ``int8-dynamic``: weights in 8 bits, ranges of activations found at each run; for models that mostly multiply matrices.
- ``fp16``: half precision, with inputs and outputs as they were. Where a processor has no arithmetic for it the runtime computes in
  single precision, so that it saves space and not time.

The tools write what they write; the same model, set and versions of tools give the same bytes.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from edged import __version__
from edged.bundle.manifest import OriginMethod, Precision
from edged.errors import BundleError, UsageError
from edged.pipeline.kernels import Array

Method = Literal["int8", "int8-dynamic", "fp16"]
METHODS: Final[tuple[Method, ...]] = ("int8", "int8-dynamic", "fp16")
PRECISIONS: Final[dict[Method, Precision]] = {"int8": "int8", "int8-dynamic": "int8", "fp16": "fp16"}
ORIGINS: Final[dict[Method, OriginMethod]] = {
    "int8": "quantized-static",
    "int8-dynamic": "quantized-dynamic",
    "fp16": "converted",
}
Calibrator = Literal["minmax", "entropy", "percentile"]
CALIBRATORS: Final[tuple[Calibrator, ...]] = ("minmax", "entropy", "percentile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to quantize."""

    calibrator: Calibrator = "minmax"
    """How the range of a tensor follows from the values seen: all of them, the most information, or all but the rarest."""
    per_channel: bool = True
    exclude: tuple[str, ...] = ()
    """Names of nodes that stay as they are."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What makes variants; the libraries have no types."""

    onnx: Any
    quantization: Any
    to_half: Any


@cache
def load_tools() -> Tools:
    """Import the tools, which takes seconds and 100 MB. It has to come before the first model is loaded in this process.

    The reference evaluator of ``onnx``, which the tools use, is built from the table of all operators. Debian's runtime adds its own to
    the same table when it is loaded, and from then on the evaluator refuses it.
    """
    with _quiet():
        import onnx.reference.op_run  # noqa: PLC0415 - only two verbs need it
        from onnxruntime import quantization  # noqa: PLC0415 - likewise
        from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415 - likewise
    return Tools(onnx, quantization, convert_float_to_float16)


def make_variant(
    model: bytes, method: Method, settings: Settings, calibration: Sequence[Mapping[str, Array]] = ()
) -> bytes:
    """Make a variant.

    Args:
        model: ONNX, single precision, found safe; ``load_tools`` was called before it was.
        method: What to make.
        settings: How.
        calibration: Inputs of runs, at least one for ``int8``.

    Raises:
        UsageError: A node that is to be left as it is does not exist.
        BundleError: The tools cannot do it.
    """
    tools = load_tools()
    onnx, quantization = tools.onnx, tools.quantization
    source = onnx.load_from_string(model)
    if unknown := sorted(set(settings.exclude) - {node.name for node in source.graph.node}):
        known = ", ".join(node.name for node in source.graph.node if node.name)
        raise UsageError(f"the model has no node {', '.join(unknown)}", hint=f"It has {known or 'none with a name'}.")
    try:
        with _quiet(), tempfile.TemporaryDirectory() as directory:
            target = Path(directory) / "model.onnx"
            match method:
                case "int8":
                    quantization.quantize_static(
                        source,
                        target,
                        _reader(quantization, calibration),
                        quant_format=quantization.QuantFormat.QDQ,
                        per_channel=settings.per_channel,
                        activation_type=quantization.QuantType.QInt8,
                        weight_type=quantization.QuantType.QInt8,
                        calibrate_method=_calibrator(quantization, settings.calibrator),
                        nodes_to_exclude=list(settings.exclude),
                    )
                case "int8-dynamic":
                    quantization.quantize_dynamic(
                        source,
                        target,
                        per_channel=settings.per_channel,
                        weight_type=quantization.QuantType.QInt8,
                        nodes_to_exclude=list(settings.exclude),
                    )
                case "fp16":
                    half = tools.to_half(source, keep_io_types=True, node_block_list=list(settings.exclude))
                    onnx.save(half, target)
            made = onnx.load(target)
    # Neither tool has errors of its own.
    except Exception as exc:
        reason = (str(exc).splitlines() or [""])[0] or type(exc).__name__
        raise BundleError(
            f"{method}: the model cannot be converted: {reason}",
            hint="Leave nodes out with --exclude, or use another method.",
        ) from exc
    made.producer_name, made.producer_version = "edge-publish", __version__
    data: bytes = made.SerializeToString(deterministic=True)
    return data


def tool_versions() -> dict[str, str]:
    """Return the versions that a variant's bytes depend on."""
    from importlib.metadata import version  # noqa: PLC0415 - as the tools

    return {"edged": __version__, "onnx": version("onnx"), "onnxruntime": version("onnxruntime")}


def _reader(quantization: Any, calibration: Sequence[Mapping[str, Array]]) -> Any:
    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            self._rows = iter(calibration)

        def get_next(self) -> dict[str, Array] | None:
            row = next(self._rows, None)
            return None if row is None else dict(row)

    return Reader()


def _calibrator(quantization: Any, name: Calibrator) -> Any:
    methods = quantization.CalibrationMethod
    return {"minmax": methods.MinMax, "entropy": methods.Entropy, "percentile": methods.Percentile}[name]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the tools from writing advice for their own developers to the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
