"""The shared memory a worker has mapped: segments with inputs, which it can only read, and rooms, which it writes answers to.

Both come as a descriptor and a number (``edged.runtime.memory``); what the descriptor allows decides what the mapping does. Views keep
a mapping alive: one that is forgotten while an array still lies in it goes when the array does.
"""

import fcntl
import mmap
import os
import sys
from collections.abc import Sequence

from edged.runtime.wire import WireError


class Segments:
    """Mapped memory by its number. Threads may use it at the same time."""

    def __init__(self) -> None:
        self._views: dict[int, memoryview] = {}

    def add(self, named: Sequence[tuple[int, int]], descriptors: Sequence[int]) -> None:
        """Map memory, and close its descriptors, also if that fails.

        Args:
            named: Number and size of each, in the order of the descriptors.
            descriptors: As they were received.

        Raises:
            WireError: They are not what was named.
            OSError: The system refused to map one.
        """
        try:
            if len(named) != len(descriptors):
                raise WireError(f"{len(descriptors)} descriptors came with {len(named)} segments")
            for (number, size), descriptor in zip(named, descriptors, strict=True):
                self._views[number] = _map(descriptor, size)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def part(self, number: int, offset: int, size: int) -> memoryview:
        """Return a part of mapped memory.

        Raises:
            WireError: It is not mapped, or the part reaches past its end.
        """
        view = self._views.get(number)
        if view is None:
            raise WireError(f"segment {number} was never handed over")
        if offset + size > len(view):
            raise WireError(f"{size} bytes at {offset} reach past the end of segment {number}")
        return view[offset : offset + size]

    def drop(self, number: int) -> None:
        """Forget memory that nothing will name again; no effect if it was never mapped."""
        self._views.pop(number, None)


def _map(descriptor: int, size: int) -> memoryview:
    # Mapping a file behind its end works, but touching it there ends the process (SIGBUS).
    if os.fstat(descriptor).st_size < size:
        raise WireError(f"a segment of {size} bytes is shorter than that")
    is_writable = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
    access = mmap.ACCESS_WRITE if is_writable else mmap.ACCESS_READ
    if sys.version_info >= (3, 13):
        return memoryview(mmap.mmap(descriptor, size, access=access, trackfd=False))
    return memoryview(mmap.mmap(descriptor, size, access=access))  # keeps a descriptor of its own
