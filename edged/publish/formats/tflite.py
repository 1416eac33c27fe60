"""Read the tensors of a LiteRT (TensorFlow Lite) model, from the published schema of its files (version 3)."""

from pathlib import Path
from typing import Final

from edged.files import read_limited
from edged.pipeline.spec import Datatype, TensorSpec
from edged.publish.formats.described import MAX_HEAD_BYTES, Described, ModelFile, not_a
from edged.publish.formats.flatbuffer import FlatBufferError, Table

_IDENTIFIER: Final = b"TFL3"
_KIND: Final = "a LiteRT model"
# Fields of the schema's tables, by number.
_MODEL_SUBGRAPHS: Final = 2
_SUBGRAPH_TENSORS: Final = 0
_SUBGRAPH_INPUTS: Final = 1
_SUBGRAPH_OUTPUTS: Final = 2
_TENSOR_SHAPE: Final = 0
_TENSOR_TYPE: Final = 1
_TENSOR_NAME: Final = 3
_TENSOR_SIGNATURE: Final = 7
"""The shape with -1 for free axes; only where there are some."""

_DATATYPES: Final[dict[int, Datatype]] = {
    0: "FP32",
    1: "FP16",
    2: "INT32",
    3: "UINT8",
    4: "INT64",
    5: "BYTES",
    6: "BOOL",
    7: "INT16",
    9: "INT8",
    10: "FP64",
    12: "UINT64",
    15: "UINT32",
    16: "UINT16",
}


def describe_tflite(path: Path) -> Described:
    """Describe a ``.tflite`` file; its first subgraph is the one that is run.

    Raises:
        BundleError: It is not one.
        OSError: It cannot be read.
    """
    data = read_limited(path, max_bytes=MAX_HEAD_BYTES)
    if data[4:8] != _IDENTIFIER:
        raise not_a(_KIND, path, f"bytes 4 to 7 are {data[4:8]!r}, not {_IDENTIFIER!r}")
    try:
        graphs = Table.root(data).tables(_MODEL_SUBGRAPHS)
        if not graphs:
            raise not_a(_KIND, path, "it has no graph")
        tensors = graphs[0].tables(_SUBGRAPH_TENSORS)
        inputs, outputs = (
            tuple(_spec(tensors[i], path) for i in graphs[0].numbers(field))
            for field in (_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS)
        )
    except (FlatBufferError, IndexError) as exc:
        raise not_a(_KIND, path, str(exc)) from exc
    return Described(files=(ModelFile(source=path, name=".tflite", role="model"),), inputs=inputs, outputs=outputs)


def _spec(tensor: Table, path: Path) -> TensorSpec:
    name = tensor.text(_TENSOR_NAME)
    dtype = _DATATYPES.get(number := tensor.number(_TENSOR_TYPE, "<b"))
    if dtype is None:
        raise not_a("a model that apps can use", path, f"tensor {name!r} has type {number}, which they cannot send")
    shape = tensor.numbers(_TENSOR_SIGNATURE) or tensor.numbers(_TENSOR_SHAPE)
    return TensorSpec(name=name, dtype=dtype, shape=tuple(max(axis, -1) for axis in shape))
