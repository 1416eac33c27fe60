"""Memory that an app shares with a model's worker, and where the tensors of a request lie in it. Standard library and numpy only."""

import fcntl
import math
import mmap
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from edged.client.call import Array
from edged.errors import TensorError
from edged.tensor_socket.messages import ALIGNMENT

_MEGABYTE: Final = 1 << 20


class SharedMemory:
    """A sealed memfd (``memfd_create(2)``), mapped here; docs/tensor-socket.md says what edged asks of it.

    Args:
        size_bytes: At least; rounded up to whole megabytes. What nobody touches costs nothing.
    """

    def __init__(self, size_bytes: int) -> None:
        self.size: Final = max(1, math.ceil(size_bytes / _MEGABYTE)) * _MEGABYTE
        self.descriptor: Final = os.memfd_create("edged-client", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, self.size)
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self._map = mmap.mmap(self.descriptor, self.size)
        self._bytes = np.frombuffer(self._map, dtype=np.uint8)
        self._address: Final = self._bytes.ctypes.data
        self._kept = 0

    def keep(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        """Return an array that lies in the memory for as long as that is there.

        Raises:
            TensorError: There is no room left for it.
        """
        size = math.prod(shape) * dtype.itemsize
        array = self.view(self.kept_bytes, size, shape, dtype)
        self._kept = self.kept_bytes + size
        return array

    @property
    def kept_bytes(self) -> int:
        """Where what is not kept may begin."""
        return aligned(self._kept)

    def view(self, offset: int, size: int, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        """Return a part of the memory as an array.

        Raises:
            TensorError: It reaches past the end.
        """
        return self.bytes_at(offset, size).view(dtype).reshape(shape)

    def bytes_at(self, offset: int, size: int) -> Array:
        """Return a part of the memory.

        Raises:
            TensorError: It reaches past the end.
        """
        if offset + size > self.size:
            raise TensorError(
                f"The shared memory has {self.size} bytes, the request needs {offset + size}.",
                hint="Open the session with more memory_bytes.",
                needed_bytes=offset + size,
            )
        return self._bytes[offset : offset + size]

    def offset_of(self, array: Array) -> int | None:
        """Return where an array lies in the memory; None when it is elsewhere or not of one piece."""
        offset = array.ctypes.data - self._address
        is_here = 0 <= offset <= self.size - array.nbytes and offset % ALIGNMENT == 0
        return offset if is_here and array.flags.c_contiguous else None

    def close(self) -> None:
        """Give up the memory here; arrays that lie in it keep their bytes, which nobody reads any more."""
        os.close(self.descriptor)


def aligned(offset: int) -> int:
    """Return the next place where a tensor may begin."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def needed_bytes(inputs: Mapping[str, Array]) -> int:
    """Return a size of memory that is enough for these inputs and, in all likelihood, for what a model makes of them."""
    taken = sum(aligned(array.nbytes) for array in inputs.values())
    return taken + max(taken, 4 * _MEGABYTE)
