"""The datatypes of the Open Inference Protocol v2, and the values of tensors as bytes and as Python has them. Pure.

Bytes are those of the protocol's binary tensor extension: row-major, little-endian, BOOL as one byte, and each element of BYTES after its
length. Made with ``struct``: numpy converts no faster into Python's values, and would cost the daemon 7 MB of memory.
"""

import struct
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any, Final

from edged.pipeline.spec import Datatype

Buffer = bytes | bytearray | memoryview

LENGTH: Final = struct.Struct("<I")
"""What each element of BYTES begins with: how many bytes follow."""
MAX_BYTES_ELEMENTS: Final = 1 << 16
"""Most elements of one BYTES tensor: each of them costs an object, whatever its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A datatype whose elements all have the same size."""

    code: str
    """Its name in ``struct``."""
    size_bytes: int
    lowest: float
    highest: float
    is_float: bool


def _integer(code: str) -> Number:
    size = struct.calcsize(f"<{code}")
    bits, is_signed = 8 * size, code.islower()
    lowest, highest = (-(1 << bits - 1), (1 << bits - 1) - 1) if is_signed else (0, (1 << bits) - 1)
    return Number(code=code, size_bytes=size, lowest=lowest, highest=highest, is_float=False)


def _float(code: str, highest: float) -> Number:
    size = struct.calcsize(f"<{code}")
    return Number(code=code, size_bytes=size, lowest=-highest, highest=highest, is_float=True)


NUMBERS: Final[Mapping[Datatype, Number]] = {
    "BOOL": Number(code="?", size_bytes=1, lowest=0, highest=1, is_float=False),
    "UINT8": _integer("B"),
    "UINT16": _integer("H"),
    "UINT32": _integer("I"),
    "UINT64": _integer("Q"),
    "INT8": _integer("b"),
    "INT16": _integer("h"),
    "INT32": _integer("i"),
    "INT64": _integer("q"),
    "FP16": _float("e", 65504.0),
    "FP32": _float("f", (2 - 2**-23) * 2.0**127),
    "FP64": _float("d", sys.float_info.max),
}
"""Every datatype but BYTES, whose elements have a size each."""


def size_bytes(dtype: Datatype, shape: Sequence[int]) -> int:
    """Return the bytes of a tensor of numbers.

    Raises:
        KeyError: It is of BYTES.
    """
    return prod(shape) * NUMBERS[dtype].size_bytes


def can_hold(dtype: Datatype, value: float) -> bool:
    """Tell whether a datatype of numbers has a value, rounded where it has fractions; none has NaN or infinity for this."""
    number = NUMBERS[dtype]
    return number.lowest <= value <= number.highest and (number.is_float or value == int(value))


def pack(dtype: Datatype, values: Sequence[float]) -> bytes:
    """Write numbers as the bytes of a tensor; integers as ``int``, or ``bool`` for BOOL.

    Raises:
        OverflowError: One is out of range.
    """
    try:
        return struct.pack(f"<{len(values)}{NUMBERS[dtype].code}", *values)
    except struct.error as exc:  # what integers raise
        raise OverflowError(str(exc)) from exc


def unpack(dtype: Datatype, data: Buffer) -> tuple[Any, ...]:
    """Read the numbers of a tensor, which has whole elements: ``int``, ``float``, or ``bool`` for BOOL."""
    number = NUMBERS[dtype]
    return struct.unpack(f"<{memoryview(data).nbytes // number.size_bytes}{number.code}", data)


def pack_bytes(elements: Iterable[Buffer]) -> bytes:
    """Write elements of BYTES, each after its length as 4 bytes."""
    return b"".join(part for element in elements for part in (LENGTH.pack(len(element)), element))


def unpack_bytes(data: Buffer) -> Iterator[memoryview]:
    """Give the elements that ``pack_bytes`` wrote, without copying them.

    Raises:
        ValueError: A length reaches past the end.
    """
    view = memoryview(data)
    start = 0
    while start < len(view):
        end = start + LENGTH.size
        if end <= len(view):
            end += LENGTH.unpack_from(view, start)[0]
        if end > len(view):
            raise ValueError(f"at byte {start}, {end - len(view)} bytes are missing")
        yield view[start + LENGTH.size : end]
        start = end


def has_elements(data: Buffer, count: int) -> bool:
    """Tell whether these are so many elements of BYTES, without copying them and without looking at more than one too many.

    Raises:
        ValueError: A length reaches past the end.
    """
    return sum(1 for _ in islice(unpack_bytes(data), count + 1)) == count
