"""Describe a model in any of the formats that a bundle can carry."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from edged.bundle.manifest import Format
from edged.errors import BundleError
from edged.onnx.safety import check_model
from edged.publish.formats.coreml import describe_coreml
from edged.publish.formats.described import Described, ModelFile, not_a
from edged.publish.formats.onnx import read_tensors
from edged.publish.formats.openvino import describe_openvino
from edged.publish.formats.tflite import describe_tflite

_EXECUTORCH: Final = (b"ET12", b"ET13")
"""At byte 4: the file identifier of ExecuTorch's program schema."""


def describe(path: Path, format_: Format) -> Described:
    """Describe the model at a path.

    Args:
        path: Its file; for ``coreml`` the ``.mlpackage`` directory, for ``openvino`` the ``.xml``, which has its ``.bin`` beside it.
        format_: What it is said to be.

    Raises:
        BundleError: It is not of that format, or a file of it is missing.
        UnsafeModelError: It is ONNX, and asks for what no model may.
        ModelLoadError: It is ONNX, and ONNX Runtime cannot load it.
    """
    if format_ != "coreml" and path.is_dir():
        raise not_a(f"a model for {format_}", path, "it is a directory")
    try:
        return _READERS[format_](path)
    except OSError as exc:
        raise BundleError(f"cannot read {exc.filename or path}: {exc.strerror}") from exc


def _onnx(path: Path) -> Described:
    data = path.read_bytes()
    check_model(data)
    inputs, outputs = read_tensors(data)
    return Described(files=(_alone(path, ".onnx"),), inputs=inputs, outputs=outputs)


def _executorch(path: Path) -> Described:
    with path.open("rb") as file:
        head = file.read(8)
    if head[4:8] not in _EXECUTORCH:
        raise not_a("an ExecuTorch program", path, f"bytes 4 to 7 are {head[4:8]!r}")
    return Described(files=(_alone(path, ".pte"),), inputs=None, outputs=None)


def _tensorrt(path: Path) -> Described:
    # An engine's form is no one's business but TensorRT's, and changes with its version.
    if not path.stat().st_size:
        raise not_a("a TensorRT engine", path, "it is empty")
    return Described(files=(_alone(path, ".engine"),), inputs=None, outputs=None)


def _alone(path: Path, suffix: str) -> ModelFile:
    return ModelFile(source=path, name=suffix, role="model")


_READERS: Final[Mapping[Format, Callable[[Path], Described]]] = {
    "onnx": _onnx,
    "tflite": describe_tflite,
    "openvino": describe_openvino,
    "executorch": _executorch,
    "coreml": describe_coreml,
    "tensorrt": _tensorrt,
}
