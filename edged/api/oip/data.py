"""Convert tensor data between the two forms of the Open Inference Protocol v2: JSON arrays and bytes. Pure.

JSON data is a flat array or one nested as deep as the shape. Numbers are checked against the range of their datatype and never
become infinite; JSON has no NaN and no infinity, so neither is taken or given in it. The specification leaves FP16 without a JSON
form; a number that FP16 can hold is taken, and given as the number it is. BYTES elements are UTF-8 strings in JSON.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import chain
from types import GenericAlias
from typing import Annotated, Any, Final

import msgspec

from edged.errors import RequestError, TensorError
from edged.pipeline.datatypes import (
    MAX_BYTES_ELEMENTS,
    NUMBERS,
    Buffer,
    can_hold,
    has_elements,
    pack,
    pack_bytes,
    size_bytes,
    unpack,
    unpack_bytes,
)
from edged.pipeline.spec import Datatype

MAX_JSON_DATA_BYTES: Final = 8 << 20
"""Most bytes of an output that are written as JSON: they take ten times as many on the way."""
PART_BYTES: Final = 64 << 10
"""Of a tensor of BOOL, looked at together."""


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
    flat, found = _flatten(values, len(shape) if is_nested else 1, pointer)
    if found != (shape if is_nested else (math.prod(shape),)):
        raise TensorError(f"The data has shape {list(found)}, not that of {list(shape)}.", pointer=pointer)
    if dtype == "BYTES":
        return pack_bytes(text.encode() for text in flat)
    try:
        return pack(dtype, flat)
    except OverflowError as exc:
        place = next((index for index, value in enumerate(flat) if not can_hold(dtype, value)), 0)
        where = "".join(f"/{i}" for i in _indices(place, found))
        raise TensorError(f"An element is out of range for {dtype}.", pointer=pointer + where) from exc


def data_to_json(data: Buffer, dtype: Datatype, name: str) -> Sequence[Any]:
    """Convert the bytes of an output to JSON values, flat.

    Raises:
        RequestError: JSON has no form for a value: NaN, infinite, or not UTF-8; or there are too many. The caller can ask for bytes.
    """
    if (size := memoryview(data).nbytes) > MAX_JSON_DATA_BYTES:
        raise _no_json(name, f"{size} bytes, and at most {MAX_JSON_DATA_BYTES} are written as JSON")
    if dtype == "BYTES":
        try:
            return [bytes(element).decode() for element in unpack_bytes(data)]
        except UnicodeDecodeError as exc:
            raise _no_json(name, "bytes that are not UTF-8, which JSON cannot say") from exc
    values = unpack(dtype, data)
    if NUMBERS[dtype].is_float and not all(map(math.isfinite, values)):
        raise _no_json(name, "values that are not finite, which JSON cannot say")
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
            is_whole = has_elements(data, count)
        except ValueError as exc:
            raise TensorError(
                f"An element of BYTES does not end where its length says: {exc}.", pointer=pointer
            ) from exc
        if not is_whole:
            raise TensorError(f"The data does not have the {count} elements of shape {list(shape)}.", pointer=pointer)
        return
    expected = size_bytes(dtype, shape)
    if len(data) != expected:
        raise TensorError(
            f"The data has {len(data)} bytes; {dtype} of shape {list(shape)} has {expected}.", pointer=pointer
        )
    if dtype == "BOOL" and not _are_bools(data):
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


def _flatten(values: list[Any], depth: int, pointer: str) -> tuple[list[Any], tuple[int, ...]]:
    """Return the elements of arrays nested ``depth`` deep, and the shape they have."""
    shape = [len(values)]
    for _ in range(depth - 1):
        lengths = {len(value) for value in values}
        if not lengths:
            break
        if len(lengths) > 1:
            raise TensorError("The nested arrays are not all of one length.", pointer=pointer)
        shape += lengths
        values = list(chain.from_iterable(values))
    return values, tuple(shape)


def _indices(place: int, shape: Sequence[int]) -> list[int]:
    """Return where in a shape its ``place``-th element is."""
    indices = []
    for axis in reversed(shape):
        place, index = divmod(place, axis)
        indices.append(index)
    return indices[::-1]


def _are_bools(data: memoryview) -> bool:
    # Part by part, because each is copied.
    parts = (data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES))
    return not any(part.tobytes().translate(None, b"\0\1") for part in parts)


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
            # msgspec's bounds are signed 64-bit; ``pack`` refuses what is above the range.
            return Annotated[int, msgspec.Meta(ge=0)]
        case _:
            number = NUMBERS[dtype]
            return Annotated[int, msgspec.Meta(ge=number.lowest, le=number.highest)]


def _no_json(name: str, what: str) -> RequestError:
    hint = 'Ask for it as bytes: "parameters": {"binary_data": true}.'
    return RequestError(f"Output {name!r} has {what}.", hint=hint)
