"""Write an inference request around the bytes of a file. Pure.

Without parameters the bytes are a request by themselves. With them they follow a JSON object that has to describe the model's one input, by
the same rules by which the daemon reads a body that is all tensor (``edged.api.oip.request``).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from edged.api.oip.request import HEADER_LENGTH
from edged.api.oip.schemas import ModelMetadata, TensorMetadata
from edged.errors import UsageError
from edged.pipeline.datatypes import NUMBERS, pack_bytes

Parameters = Mapping[str, bool | int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is sent."""

    content: bytes
    headers: Mapping[str, str]


def whole_body(content: bytes) -> Body:
    """Write a request that is nothing but a file."""
    return _body(b"", content)


def described_body(content: bytes, model: ModelMetadata, parameters: Parameters) -> Body:
    """Write a request with parameters.

    Args:
        content: Of the file.
        model: What it takes.
        parameters: Of the request.

    Raises:
        UsageError: The model has more inputs than one, or the size of the file does not fit the one it has.
    """
    if len(model.inputs) != 1:
        raise UsageError(
            f"Model {model.name} has {len(model.inputs)} inputs, and a file can be only one.",
            hint="edged.client, or any client of the Open Inference Protocol, sends several.",
        )
    (spec,) = model.inputs
    data = pack_bytes([content]) if spec.datatype == "BYTES" else content
    document = {
        "inputs": [
            {
                "name": spec.name,
                "datatype": spec.datatype,
                "shape": _shape(spec, len(content)),
                "parameters": {"binary_data_size": len(data)},
            }
        ],
        "parameters": parameters,
    }
    return _body(msgspec.json.encode(document), data)


def _shape(spec: TensorMetadata, size: int) -> tuple[int, ...]:
    if spec.datatype == "BYTES":
        return (1,) * len(spec.shape)
    row_bytes = NUMBERS[spec.datatype].size_bytes * math.prod(axis for axis in spec.shape if axis != -1)
    if spec.shape.count(-1) > 1 or row_bytes == 0 or size % row_bytes:
        raise UsageError(
            f"A file of {size} bytes is no {spec.datatype} of shape {list(spec.shape)}, -1 being any size."
        )
    return tuple(size // row_bytes if axis == -1 else axis for axis in spec.shape)


def _body(text: bytes, data: bytes) -> Body:
    return Body(
        content=text + data,
        headers={HEADER_LENGTH: str(len(text)), "Content-Type": "application/octet-stream"},
    )
