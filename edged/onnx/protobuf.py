"""Reads the wire format of protocol buffers (protobuf.dev, "Encoding"), one message level at a time.

It knows no schema and copies nothing: it says where each field of a message lies. It is stricter than the parsers it stands in front
of, so that nothing can mean one thing here and another there: groups, field number 0, tags beyond 32 bits, and numbers of more than
ten bytes are refused.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

MAX_VARINT_BYTES: Final = 10


class WireType(IntEnum):
    """How a field's value lies on the wire."""

    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    FIXED32 = 5


class Field(NamedTuple):
    """A field of a message: the bytes ``start`` to ``end`` are its value, ``value`` its number where it is a varint."""

    number: int
    wire: WireType
    value: int
    start: int
    end: int


class GarbledError(Exception):
    """The bytes are not a protobuf message."""


_WIRES: Final = {int(wire): wire for wire in WireType}


def read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return an unsigned number of at most 64 bits and the place after it.

    Raises:
        GarbledError: It does not end before ``end`` or is too long.
    """
    if at < end and data[at] < 0x80:  # nearly all of them, and this is the innermost loop of a large model
        return data[at], at + 1
    value = 0
    for i, byte in enumerate(data[at : min(end, at + MAX_VARINT_BYTES)]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if value >> 64:
                break
            return value, at + i + 1
    raise GarbledError(f"a number at byte {at} does not end")


def read_fields(data: bytes, start: int, end: int) -> Iterator[Field]:
    """Go through the fields of the message in ``data[start:end]``, in order.

    Raises:
        GarbledError: The bytes are not a message, or are cut short.
    """
    at = start
    while at < end:
        tag_at = at
        tag, at = read_varint(data, at, end)
        wire = _WIRES.get(tag & 7)
        if wire is None or not 0 < tag >> 3 < 1 << 29:
            raise GarbledError(f"byte {tag_at} begins no field")
        value = 0
        value_at = at
        if wire is WireType.VARINT:
            value, after = read_varint(data, at, end)
        elif wire is WireType.LENGTH:
            length, value_at = read_varint(data, at, end)
            after = value_at + length
        else:
            after = at + (8 if wire is WireType.FIXED64 else 4)
        if after > end:
            raise GarbledError(f"the field at byte {tag_at} is cut short")
        yield Field(tag >> 3, wire, value, value_at, after)
        at = after
