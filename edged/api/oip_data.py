"""Convert tensor data between the two forms of the Open Inference Protocol v2: JSON arrays and bytes. Pure.

JSON data is a flat array or one nested as deep as the shape. Numbers are checked against the range of their datatype and never
become infinite; JSON has no NaN and no infinity, so neither is taken or given in it. The specification leaves FP16 without a JSON
form; a number that FP16 can hold is taken, and given as the number it is. BYTES elements are UTF-8 strings in JSON.
"""

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import GenericAlias
from typing import Annotated, Any, Final

import msgspec
import numpy as np

from edged.errors import RequestError, TensorError
from edged.pipeline.spec import Datatype

NUMPY_TYPES: Final[Mapping[Datatype, str]] = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""Every datatype of a fixed size, as numpy names it; only BYTES is missing."""

MAX_BYTES_ELEMENTS: Final = 1 << 16
"""Most elements of one BYTES tensor: each of them costs an object, whatever its size."""

_PREFIX: Final = struct.Struct("<I")

Buffer = bytes | bytearray | memoryview


def item_size(dtype: Datatype) -> int:
    """Return the bytes of one element; 0 for BYTES, whose elements differ."""
    return 0 if dtype == "BYTES" else np.dtype(NUMPY_TYPES[dtype]).itemsize


def data_from_json(raw: msgspec.Raw, dtype: Datatype, shape: tuple[int, ...], pointer: str) -> bytes:
    """Convert the JSON text of a ``data`` member.

    Args:
        raw: The text, an array.
        dtype: What each element must be.
        shape: The shape the array must fill, flat or nested.
        pointer: Where the array is in the request.

    Raises:
        TensorError: An element is of another type or out of range, or their number is not that of the shape.
    """
    check_elements(dtype, math.prod(shape), pointer)
    text = bytes(raw).lstrip()
    is_nested = len(shape) > 1 and text[1:].lstrip().startswith(b"[")
    try:
        values = _decoder(dtype, len(shape) if is_nested else 1).decode(text)
    except msgspec.ValidationError as exc:
        raise TensorError(f"Wrong element for {dtype}: {_reason(exc)}.", pointer=pointer + json_pointer(exc)) from exc
    except UnicodeDecodeError as exc:
        raise TensorError("The data is not UTF-8.", pointer=pointer) from exc
    array = _to_array(values, dtype, pointer)
    if array.shape != (shape if is_nested else (math.prod(shape),)):
        raise TensorError(f"The data has shape {list(array.shape)}, not that of {list(shape)}.", pointer=pointer)
    if dtype == "BYTES":
        return pack_bytes([text.encode() for text in array.ravel().tolist()])
    return array.tobytes()


def data_to_json(data: Buffer, dtype: Datatype, name: str) -> list[Any]:
    """Convert the bytes of an output to a flat list of JSON values.

    Raises:
        RequestError: JSON has no form for a value: NaN, infinite, or not UTF-8. The caller can ask for bytes.
    """
    if dtype == "BYTES":
        try:
            return [bytes(element).decode() for element in unpack_bytes(data)]
        except UnicodeDecodeError as exc:
            raise _no_json(name, "bytes that are not UTF-8") from exc
    array = np.frombuffer(data, NUMPY_TYPES[dtype])
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise _no_json(name, "values that are not finite")
    values: list[Any] = array.tolist()
    return values


def check_binary(data: memoryview, dtype: Datatype, shape: tuple[int, ...], pointer: str) -> None:
    """Check that bytes are a tensor of this datatype and shape.

    Raises:
        TensorError: Their number is not that of the shape, or they have no meaning in this datatype.
    """
    count = math.prod(shape)
    if dtype == "BYTES":
        check_elements(dtype, count, pointer)
        try:
            found = sum(1 for _ in unpack_bytes(data))
        except ValueError as exc:
            raise TensorError(
                f"An element of BYTES does not end where its length says: {exc}.", pointer=pointer
            ) from exc
        if found != count:
            raise TensorError(
                f"The data has {found} elements of BYTES; shape {list(shape)} has {count}.", pointer=pointer
            )
        return
    expected = count * item_size(dtype)
    if len(data) != expected:
        raise TensorError(
            f"The data has {len(data)} bytes; {dtype} of shape {list(shape)} has {expected}.", pointer=pointer
        )
    if dtype == "BOOL" and np.frombuffer(data, "u1").max(initial=0) > 1:
        raise TensorError("A byte of BOOL is 0 or 1.", pointer=pointer)


def check_elements(dtype: Datatype, count: int, pointer: str) -> None:
    """Refuse a BYTES tensor of too many elements.

    Raises:
        TensorError: It has more than ``MAX_BYTES_ELEMENTS``.
    """
    if dtype == "BYTES" and count > MAX_BYTES_ELEMENTS:
        raise TensorError(
            f"A BYTES tensor has at most {MAX_BYTES_ELEMENTS} elements; this has {count}.", pointer=pointer
        )


def pack_bytes(elements: Sequence[Buffer]) -> bytes:
    """Write BYTES elements, each after its length as 4 bytes, little-endian."""
    return b"".join(part for element in elements for part in (_PREFIX.pack(len(element)), element))


def unpack_bytes(data: Buffer) -> Iterator[memoryview]:
    """Give the elements that ``pack_bytes`` wrote, without copying them.

    Raises:
        ValueError: A length reaches past the end.
    """
    view = memoryview(data)
    start = 0
    while start < len(view):
        end = start + _PREFIX.size
        if end <= len(view):
            end += _PREFIX.unpack_from(view, start)[0]
        if end > len(view):
            raise ValueError(f"at byte {start}, {end - len(view)} bytes are missing")
        yield view[start + _PREFIX.size : end]
        start = end


def json_pointer(error: msgspec.ValidationError) -> str:
    """Turn the place msgspec names in an error, such as ``$.inputs[0].name``, into a JSON pointer."""
    text = str(error)
    _, found, path = text.partition(" - at `$")
    # A key of an object is written [...]: the pointer ends at the object that has it.
    pointer = (
        path.rstrip("`").replace("[...]", "").replace("[", "/").replace("]", "").replace(".", "/") if found else ""
    )
    if text.startswith("Object contains unknown field `"):
        pointer += "/" + text.split("`")[1][:128].replace("~", "~0").replace("/", "~1")
    return pointer


def _reason(error: msgspec.ValidationError) -> str:
    return str(error).partition(" - at ")[0]


def _to_array(values: list[Any], dtype: Datatype, pointer: str) -> np.ndarray[Any, Any]:
    try:
        with np.errstate(over="ignore"):  # found below, with its place
            array = np.array(values, dtype=NUMPY_TYPES.get(dtype, "O"))
    except OverflowError as exc:
        raise TensorError(f"An element is out of range for {dtype}.", pointer=pointer) from exc
    except ValueError as exc:
        raise TensorError("The nested arrays are not all of one length.", pointer=pointer) from exc
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        place = np.argwhere(~np.isfinite(array))[0]
        raise TensorError(f"An element is out of range for {dtype}.", pointer=pointer + "".join(f"/{i}" for i in place))
    return array


@cache
def _decoder(dtype: Datatype, depth: int) -> msgspec.json.Decoder[Any]:
    """Make the decoder of arrays nested ``depth`` deep; their elements are checked as they are read."""
    type_ = _element(dtype)
    for _ in range(depth):
        type_ = GenericAlias(list, (type_,))
    return msgspec.json.Decoder(type_)


def _element(dtype: Datatype) -> Any:
    match dtype:
        case "BOOL":
            return bool
        case "BYTES":
            return str
        case "FP16" | "FP32" | "FP64":
            return float
        case "UINT64":
            # msgspec's bounds are signed 64-bit; numpy refuses what is above the range.
            return Annotated[int, msgspec.Meta(ge=0)]
        case _:
            info = np.iinfo(NUMPY_TYPES[dtype])
            return Annotated[int, msgspec.Meta(ge=int(info.min), le=int(info.max))]


def _no_json(name: str, what: str) -> RequestError:
    hint = 'Ask for it as bytes: "parameters": {"binary_data": true}.'
    return RequestError(f"Output {name!r} has {what}, which JSON cannot say.", hint=hint)
