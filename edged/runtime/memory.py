"""Memory that the daemon shares with the workers of one model: where large tensors lie, so that they need not be sent.

Each piece is an unnamed file on a tmpfs (``O_TMPFILE``; memfd_create(2) is filtered where edged runs) that belongs to one request at a
time. There are two kinds, because a worker that a model has taken over may do to a file whatever its descriptor allows, and reading
mapped memory behind the end of a file that was cut short ends a process (SIGBUS, mmap(2)):

- A *segment* carries inputs. The daemon maps it and writes; a worker gets a descriptor it can only read, so it cannot cut it short.
- A *room* carries answers. A worker writes; the daemon never maps it, but reads it with pread(2), which comes back short at worst.

All pages are allocated when a piece is made, so that a full tmpfs is an error here and not a signal later. Pieces are kept for the next
request: their pages are there already, which saves more than a copy costs. One pool serves one model, so that no worker ever maps
memory another model's requests were in.
"""

import itertools
import mmap
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from edged.errors import UnavailableError
from edged.runtime.wire import MAX_SEGMENT_BYTES

DIRECTORY: Final = "/dev/shm"  # noqa: S108 - only unnamed files are made there
MIN_BYTES: Final = 64 << 10


class Piece:
    """A part of shared memory that belongs to one request at a time."""

    def __init__(self, number: int, size: int, pool: "SharedMemory") -> None:
        self.number: Final = number
        """Never used again for another piece of this pool; from 1."""
        self.size: Final = size
        """Bytes; at least as many as were asked for."""
        self.descriptor = -1
        """The open file as a worker may have it."""
        self._pool = pool
        self._owners = 1

    def take(self) -> None:
        """Note that it has an owner."""
        self._owners = 1

    def hold(self) -> None:
        """Note that it has one more owner: it is given back when each of them has released it.

        Raises:
            ValueError: It was given back before.
        """
        if not self._owners:
            raise ValueError(f"shared memory {self.number} belongs to nobody")
        self._owners += 1

    def release(self) -> None:
        """Give it back. Its bytes stay as they are until the next request overwrites them.

        Raises:
            ValueError: It was given back before; whoever has it now would share it with the next request.
        """
        if not self._owners:
            raise ValueError(f"shared memory {self.number} is released twice")
        self._owners -= 1
        if not self._owners:
            self._pool.put_back(self)

    def close(self) -> None:
        """Let go of it; nobody may use it any more."""
        os.close(self.descriptor)


class Segment(Piece):
    """Shared memory for inputs: written here, read by a worker."""

    def __init__(self, number: int, size: int, pool: "SharedMemory") -> None:
        super().__init__(number, size, pool)
        descriptor = allocate(pool.directory, size)
        try:
            if sys.version_info >= (3, 13):
                self._map = mmap.mmap(descriptor, size, trackfd=False)
            else:
                # This keeps a duplicate, which costs a second descriptor for each segment.
                self._map = mmap.mmap(descriptor, size)
            # Opened anew, because a duplicate would share the right to write.
            self.descriptor = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(descriptor)
        self.view: Final = memoryview(self._map)
        """Its bytes, writable."""

    def close(self) -> None:
        """Let go of it; the memory goes with the last view of it, if somebody still holds one."""
        super().close()
        self.view.release()
        with suppress(BufferError):
            self._map.close()


class Room(Piece):
    """Shared memory for answers: written by a worker, read here."""

    def __init__(self, number: int, size: int, pool: "SharedMemory") -> None:
        super().__init__(number, size, pool)
        self.descriptor = allocate(pool.directory, size)

    def read(self, offset: int, size: int) -> bytes:
        """Return a copy of a part of it; shorter than asked for when the worker has cut the file."""
        data = os.pread(self.descriptor, size, offset)
        # One call reads at most 2 GiB.
        while len(data) < size and (more := os.pread(self.descriptor, size - len(data), offset + len(data))):
            data += more
        return data


P = TypeVar("P", Segment, Room)


class SharedMemory:
    """The segments and rooms of one model.

    Args:
        max_bytes: Called for the most that all of them together may have; a reload can change it.
        directory: On a tmpfs.
    """

    def __init__(self, *, max_bytes: Callable[[], int], directory: str = DIRECTORY) -> None:
        self.directory: Final = directory
        self.used_bytes = 0
        """Of all pieces, taken and free."""
        self.taken_bytes = 0
        """Of those that belong to a request now."""
        self._max_bytes = max_bytes
        self._numbers = itertools.count(1)
        self._free: list[Piece] = []
        """Longest unused first."""
        self._droppers: set[Callable[[int], None]] = set()

    def on_drop(self, forget: Callable[[int], None]) -> Callable[[], None]:
        """Have ``forget`` called with the number of each piece that is dropped; returns what ends that."""
        self._droppers.add(forget)
        return lambda: self._droppers.discard(forget)

    def take(self, size_bytes: int) -> Segment:
        """Take memory for at least so many bytes of inputs.

        Raises:
            UnavailableError: Other requests use the memory.
        """
        return self._take(Segment, size_bytes)

    def take_room(self, size_bytes: int) -> Room:
        """Take memory for at least so many bytes of answers.

        Raises:
            UnavailableError: Other requests use the memory.
        """
        return self._take(Room, size_bytes)

    def put_back(self, piece: Piece) -> None:
        """Take a piece back; see ``Piece.release``."""
        self.taken_bytes -= piece.size
        self._free.append(piece)

    def trim(self) -> None:
        """Drop all pieces that are free."""
        while self._free:
            self._drop(self._free.pop())

    def _take(self, kind: type[P], size_bytes: int) -> P:
        size = _rounded(size_bytes)
        piece = self._reuse(kind, size, 2 * size) or self._make(kind, size)
        self.taken_bytes += piece.size
        return piece

    def _reuse(self, kind: type[P], least: int, most: int) -> P | None:
        fitting = [piece for piece in self._free if isinstance(piece, kind) and least <= piece.size <= most]
        if not fitting:
            return None
        piece = min(fitting, key=lambda item: item.size)
        self._free.remove(piece)
        piece.take()
        return piece

    def _make(self, kind: type[P], size: int) -> P:
        most = self._max_bytes()
        if self.used_bytes + size > most and (larger := self._reuse(kind, size, self.used_bytes)):
            return larger
        while self._free and self.used_bytes + size > most:
            self._drop(self._free.pop(0))
        if self.used_bytes + size > most or size > MAX_SEGMENT_BYTES:
            raise UnavailableError(
                f"Other requests use the memory for tensors: {self.used_bytes} of {most} bytes, {size} are wanted.",
                hint="Try again in a moment, or send less at once.",
                limit="serve.max_body_bytes",
            )
        try:
            piece = self._open(kind, size)
        except OSError as exc:
            raise UnavailableError(
                f"No memory for {size} bytes of tensors: {exc.strerror}.", hint="Try again in a moment."
            ) from exc
        self.used_bytes += size
        return piece

    def _open(self, kind: type[P], size: int) -> P:
        try:
            return kind(next(self._numbers), size, self)
        except OSError:
            if not self._free:
                raise
            # The tmpfs has less than we may use, or descriptors ran out: what lies here unused may be what is missing.
            self.trim()
            return kind(next(self._numbers), size, self)

    def _drop(self, piece: Piece) -> None:
        self.used_bytes -= piece.size
        for forget in tuple(self._droppers):
            forget(piece.number)
        piece.close()


def allocate(directory: str, size: int) -> int:
    """Make an unnamed file with all its pages, and return its descriptor."""
    # O_EXCL: nobody can give it a name later (open(2)).
    descriptor = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC | os.O_EXCL, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _rounded(size_bytes: int) -> int:
    """Round up to one of four sizes for each doubling, so that requests of about the same size can use each other's memory."""
    size = max(size_bytes, MIN_BYTES)
    step = 1 << ((size - 1).bit_length() - 3)
    return -(-size // step) * step
