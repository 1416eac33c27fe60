"""Read the tensors of a Core ML package: a directory with a list of its items, a description of the model, and weights.

Numbers of fields are those of Core ML's published protocol buffers (``Model.proto``, ``FeatureTypes.proto``).
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from edged.files import read_limited
from edged.onnx.protobuf import Field, GarbledError, WireType, read_fields, read_varint
from edged.pipeline.spec import Datatype, TensorSpec
from edged.publish.formats.described import MAX_HEAD_BYTES, Described, ModelFile, not_a

_KIND: Final = "a Core ML package"
_MANIFEST: Final = "Manifest.json"
_MAX_MANIFEST_BYTES: Final = 1 << 20
_MODEL_DESCRIPTION: Final = 2
_DESCRIPTION_INPUT: Final = 1
_DESCRIPTION_OUTPUT: Final = 10
_FEATURE_NAME: Final = 1
_FEATURE_TYPE: Final = 3
_TYPE_ARRAY: Final = 5
_ARRAY_SHAPE: Final = 1
_ARRAY_DATATYPE: Final = 2
_DATATYPES: Final[dict[int, Datatype]] = {65552: "FP16", 65568: "FP32", 65600: "FP64", 131104: "INT32"}


def describe_coreml(path: Path) -> Described:
    """Describe a ``.mlpackage`` directory. Tensors are read where all are arrays of numbers; images have no datatype here.

    Raises:
        BundleError: It is not one.
        OSError: It cannot be read.
    """
    if not path.is_dir():
        raise not_a(_KIND, path, "it is not a directory")
    if not (path / _MANIFEST).is_file():
        raise not_a(_KIND, path, f"it has no {_MANIFEST}")
    model = _root_model(path)
    data = read_limited(model, max_bytes=MAX_HEAD_BYTES)
    try:
        inputs, outputs = (_features(data, field) for field in (_DESCRIPTION_INPUT, _DESCRIPTION_OUTPUT))
    except (GarbledError, UnicodeDecodeError) as exc:
        raise not_a(_KIND, path, f"{model.name} is no model: {exc}") from exc
    others = sorted(file for file in path.rglob("*") if file.is_file() and file != path / _MANIFEST)
    if links := [file for file in path.rglob("*") if file.is_symlink()]:
        raise not_a(_KIND, path, f"{links[0]} is a symbolic link")
    # What Core ML is given is the directory; its list of items stands for it.
    files = [ModelFile(source=path / _MANIFEST, name=f".mlpackage/{_MANIFEST}", role="model")]
    files += [
        ModelFile(source=file, name=f".mlpackage/{file.relative_to(path).as_posix()}", role="weights")
        for file in others
    ]
    return Described(files=tuple(files), inputs=inputs, outputs=outputs)


def _root_model(path: Path) -> Path:
    """Return the file that the package's list names as the model."""
    try:
        listed = json.loads(read_limited(path / _MANIFEST, max_bytes=_MAX_MANIFEST_BYTES))
        item = PurePosixPath(listed["itemInfoEntries"][listed["rootModelIdentifier"]]["path"])
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise not_a(_KIND, path, f"{_MANIFEST} names no model") from exc
    if item.is_absolute() or ".." in item.parts:
        raise not_a(_KIND, path, f"{_MANIFEST} names a file outside of it, {item}")
    model = path / "Data" / item
    if not model.is_file():
        raise not_a(_KIND, path, f"{_MANIFEST} names Data/{item}, which is not there")
    return model


def _features(data: bytes, kind: int) -> tuple[TensorSpec, ...] | None:
    specs = []
    for description in _within(data, 0, len(data), _MODEL_DESCRIPTION):
        for feature in _within(data, description.start, description.end, kind):
            spec = _spec(data, feature)
            if spec is None:
                return None
            specs.append(spec)
    return tuple(specs) or None


def _spec(data: bytes, feature: Field) -> TensorSpec | None:
    names = [data[f.start : f.end].decode() for f in _within(data, feature.start, feature.end, _FEATURE_NAME)]
    arrays = [
        array
        for type_ in _within(data, feature.start, feature.end, _FEATURE_TYPE)
        for array in _within(data, type_.start, type_.end, _TYPE_ARRAY)
    ]
    if not names or not arrays:
        return None
    shape: list[int] = []
    dtype: Datatype | None = None
    for field in read_fields(data, arrays[-1].start, arrays[-1].end):
        if field.number == _ARRAY_SHAPE:
            shape += [field.value] if field.wire is WireType.VARINT else _packed(data, field)
        elif field.number == _ARRAY_DATATYPE:
            dtype = _DATATYPES.get(field.value)
    # A shape that the package leaves open is not said here, and then nothing is.
    return TensorSpec(name=names[-1], dtype=dtype, shape=tuple(shape)) if dtype and shape else None


def _packed(data: bytes, field: Field) -> Iterator[int]:
    at = field.start
    while at < field.end:
        number, at = read_varint(data, at, field.end)
        yield number


def _within(data: bytes, start: int, end: int, number: int) -> Iterator[Field]:
    return (f for f in read_fields(data, start, end) if f.number == number and f.wire is WireType.LENGTH)
