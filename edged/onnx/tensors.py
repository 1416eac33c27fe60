"""What a tensor in a model claims about itself, and whether it can be true. Pure.

Runtimes allocate what the shape says before they look at the data, and each of them has its own idea of what to do when the two differ.
So the data is in one field, and has the bytes that type and shape ask for: exactly where it is raw, at least where it is a list.
"""

import math
from collections.abc import Mapping
from typing import Final

from edged.onnx.protobuf import Field, GarbledError, WireType, read_varint

MAX_RANK: Final = 16
# Values of two bits put four elements into a byte, and no number takes less than a byte in a list that is not packed by type.
_MAX_ELEMENTS_PER_BYTE: Final = 8

_STRING: Final = 8
_BITS: Final[Mapping[int, int]] = {
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8),
    **dict.fromkeys((4, 5, 10, 16), 16),
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((7, 11, 13, 14), 64),
    15: 128,
    **dict.fromkeys((21, 22, 23), 4),
    **dict.fromkeys((25, 26), 2),
}
"""Bits of an element as raw data, by data type (onnx/onnx.proto, TensorProto.DataType)."""
_UNSETTLED: Final = frozenset({27, 28})
"""Types of six bits, which are too new for their packing to be the same everywhere."""
_PAYLOAD: Final = frozenset(
    {"raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data"}
)


class Claim:
    """One tensor's type, shape and data, gathered field by field."""

    def __init__(self) -> None:
        self._dims: list[int] = []
        self._type = 0
        self._payload: dict[str, int] = {}

    def add(self, name: str, field: Field, model: bytes) -> None:
        """Take in a field of the tensor in ``model``."""
        if name == "dims":
            read_dims(field, model, self._dims)
        elif name == "data_type":
            self._type = field.value
        elif name in _PAYLOAD:
            # An empty text is an element too; its length byte is outside the field's value.
            size = field.end - field.start + (name == "string_data")
            self._payload[name] = self._payload.get(name, 0) + size

    def problem(self) -> str:
        """Say why the tensor cannot be what it claims; empty when it can."""
        return shape_problem(self._dims) or self._type_problem() or self._size_problem()

    def _type_problem(self) -> str:
        if self._type != _STRING and self._type not in _BITS and self._type not in _UNSETTLED:
            return f"data type {self._type} is not of any ONNX version edged knows"
        if len(self._payload) > 1:
            return f"its data is in several places ({', '.join(sorted(self._payload))})"
        if self._payload and (self._type == _STRING) != ("string_data" in self._payload):
            return f"data type {self._type} does not go with {next(iter(self._payload))}"
        return ""

    def _size_problem(self) -> str:
        elements = math.prod(self._dims)
        size = sum(self._payload.values())
        bits = _BITS.get(self._type)
        if "raw_data" in self._payload and bits is not None:
            is_right = size == (elements * bits + 7) // 8
        else:
            is_right = elements <= _MAX_ELEMENTS_PER_BYTE * size
        return "" if is_right else f"its shape has {_number(elements)} elements, its data {size} bytes"


def read_dims(field: Field, model: bytes, dims: list[int]) -> None:
    """Add the sizes in a field of ``dims``, packed or not, to those before; never many more than a shape may have."""
    if field.wire is WireType.VARINT:
        dims.append(field.value)
        return
    at = field.start
    while at < field.end and len(dims) <= MAX_RANK:
        try:
            value, at = read_varint(model, at, field.end)
        except GarbledError:
            dims.append(-1)
            return
        dims.append(value)


def shape_problem(dims: list[int]) -> str:
    """Say why there can be no such shape; empty when there can."""
    if len(dims) > MAX_RANK:
        return f"a shape with more than {MAX_RANK} axes"
    if any(not 0 <= dim < 1 << 63 for dim in dims):
        return "a shape with a negative or unreadable size"
    return ""


def _number(value: int) -> str:
    """Write a number that may have hundreds of digits."""
    return str(value) if value < 1 << 64 else "more than 2**64"
