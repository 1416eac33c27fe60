"""Between tensors as they travel and numpy arrays.

BYTES tensors are object arrays of ``bytes``. Conversions check sizes, so an array always has the shape its tensor claimed.
"""

import numpy as np

from edged.errors import TensorError
from edged.pipeline.datatypes import LENGTH, pack_bytes
from edged.pipeline.kernels import Array
from edged.pipeline.kernels.types import NUMPY, datatype_of
from edged.runtime.tensors import Described, Tensor, check_size, elements_of

__all__ = ["NUMPY", "Array", "array_of", "bytes_of", "datatype_of", "size_bytes_of", "to_array", "to_tensor"]


def to_array(tensor: Tensor) -> Array:
    """Return a tensor as an array; see ``array_of``."""
    return array_of(tensor, tensor.data)


def array_of(tensor: Described, data: bytes | bytearray | memoryview) -> Array:
    """Return the bytes of a tensor as an array, which shares them unless they are BYTES or not aligned.

    Raises:
        TensorError: The bytes are not those of its datatype and shape.
    """
    if tensor.dtype == "BYTES":
        elements = elements_of(tensor, memoryview(data))
        array = np.empty(len(elements), dtype=object)
        # Element by element: numpy would turn a list of bytes into a fixed-width array and drop trailing zeros.
        for i, element in enumerate(elements):
            array[i] = element
        return array.reshape(tensor.shape)
    check_size(tensor, data)
    try:
        values: Array = np.ndarray(tensor.shape, NUMPY[tensor.dtype], data)
    except ValueError as exc:  # an axis of 0, and others too long for numpy even without it
        raise TensorError(f"tensor {tensor.name}: no array can have shape {list(tensor.shape)}") from exc
    return values if values.flags.aligned else values.copy()


def to_tensor(name: str, array: Array) -> Tensor:
    """Return an array as a tensor, which shares the array's memory where it is contiguous.

    Raises:
        TensorError: Its dtype does not travel.
    """
    return Tensor(name=name, dtype=datatype_of(array), shape=tuple(array.shape), data=bytes_of(array))


def bytes_of(array: Array) -> bytes | memoryview:
    """Return the bytes an array travels as: its own memory where it is contiguous."""
    if array.dtype == object:
        return pack_bytes(bytes(item) for item in array.ravel().tolist())
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def size_bytes_of(array: Array) -> int:
    """Return how many bytes an array travels as, without making them."""
    if array.dtype == object:
        return sum(LENGTH.size + len(bytes(item)) for item in array.ravel().tolist())
    return array.nbytes
