"""Between tensors as they travel and numpy arrays.

BYTES tensors are object arrays of ``bytes``. Conversions check sizes, so an array always has the shape its tensor claimed.
"""

import math
import struct
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.errors import TensorError
from edged.pipeline.spec import Datatype, TensorSpec
from edged.runtime.tensors import Tensor

Array = NDArray[np.generic] | NDArray[np.object_]

NUMPY: Final[Mapping[Datatype, np.dtype[np.generic]]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""Every datatype of fixed width; BYTES is not here."""

_DATATYPES: Final = {dtype: name for name, dtype in NUMPY.items()}
_LENGTH: Final = struct.Struct("<I")


def datatype_of(array: Array) -> Datatype:
    """Return the datatype an array travels as.

    Raises:
        TensorError: There is none for its dtype.
    """
    if array.dtype == object:
        return "BYTES"
    if (found := _DATATYPES.get(array.dtype)) is None:
        raise TensorError(f"arrays of {array.dtype} have no datatype in the Open Inference Protocol")
    return found


def check_tensor(tensor: Tensor) -> None:
    """Check that a tensor's bytes are those of its datatype and shape.

    Raises:
        TensorError: They are too few or too many.
    """
    if tensor.dtype == "BYTES":
        _elements(tensor)
        return
    expected = math.prod(tensor.shape) * NUMPY[tensor.dtype].itemsize
    if (found := memoryview(tensor.data).nbytes) != expected:
        raise TensorError(
            f"tensor {tensor.name}: {tensor.dtype} {list(tensor.shape)} has {expected} bytes, got {found}"
        )


def check_spec(tensor: Tensor, spec: TensorSpec) -> None:
    """Check a tensor's datatype and shape against what is wanted.

    Raises:
        TensorError: One of them differs.
    """
    if tensor.dtype != spec.dtype:
        raise TensorError(f"tensor {tensor.name}: datatype is {tensor.dtype}, expected {spec.dtype}")
    if not fits(tensor.shape, spec.shape):
        raise TensorError(f"tensor {tensor.name}: shape is {list(tensor.shape)}, expected {list(spec.shape)}")


def fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether a shape is one that is wanted, where -1 is any size."""
    return len(shape) == len(wanted) and all(b in {-1, a} for a, b in zip(shape, wanted, strict=True))


def to_array(tensor: Tensor) -> Array:
    """Return a tensor as an array, which shares the tensor's bytes unless they are BYTES or not aligned.

    Raises:
        TensorError: The bytes are not those of its datatype and shape.
    """
    check_tensor(tensor)
    if tensor.dtype == "BYTES":
        array = np.empty(math.prod(tensor.shape), dtype=object)
        # Element by element: numpy would turn a list of bytes into a fixed-width array and drop trailing zeros.
        for i, element in enumerate(_elements(tensor)):
            array[i] = element
        return array.reshape(tensor.shape)
    flat = np.frombuffer(tensor.data, dtype=NUMPY[tensor.dtype])
    return np.require(flat, requirements=["ALIGNED"]).reshape(tensor.shape)


def to_tensor(name: str, array: Array) -> Tensor:
    """Return an array as a tensor, which shares the array's memory where it is contiguous.

    Raises:
        TensorError: Its dtype does not travel.
    """
    dtype = datatype_of(array)
    if dtype == "BYTES":
        items = [bytes(item) for item in array.ravel().tolist()]
        data: bytes | memoryview = b"".join(_LENGTH.pack(len(item)) + item for item in items)
    else:
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return Tensor(name=name, dtype=dtype, shape=tuple(array.shape), data=data)


def _elements(tensor: Tensor) -> list[bytes]:
    data = memoryview(tensor.data)
    count = math.prod(tensor.shape)
    if count * _LENGTH.size > data.nbytes:  # also keeps an absurd shape from being counted through
        raise TensorError(
            f"tensor {tensor.name}: BYTES {list(tensor.shape)} has {count} lengths, got {data.nbytes} bytes in all"
        )
    elements = []
    at = 0
    for i in range(count):
        if at + _LENGTH.size > data.nbytes:
            raise TensorError(f"tensor {tensor.name}: element {i} of {count} is missing")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if length > data.nbytes - at:
            raise TensorError(f"tensor {tensor.name}: element {i} has {length} bytes, {data.nbytes - at} are left")
        elements.append(bytes(data[at : at + length]))
        at += length
    if at != data.nbytes:
        raise TensorError(f"tensor {tensor.name}: {data.nbytes - at} bytes after the last element")
    return elements
