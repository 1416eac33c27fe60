"""Packed bundles (``NAME-VERSION.edgeb``) as a way to obtain blobs, read where they are, without unpacking.

The manifest inside says where each file lies and which digest it should have; nobody signed it, so it only says where to look. A pack that
is damaged, cut or lying brings wrong chunks, or fewer, and costs nothing but the time to find out. Several packs may claim the same blob;
each is asked for what the ones before could not give.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import msgspec

from edged.bundle.edgeb import find_files
from edged.bundle.manifest import CHUNK_BYTES, ChunkIndex, FileEntry
from edged.codec import encode_canonical
from edged.errors import BundleError, FetchError, HostUnreachableError
from edged.files import hash_bytes
from edged.ids import Digest
from edged.update.download.chunks import chunk_size
from edged.update.download.ways import Want
from edged.update.origins.stick import URL, Stick

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a blob is said to lie."""

    descriptor: int
    name: str
    start: int
    size: int


@dataclass(slots=True, kw_only=True)
class PackedBundles:
    """The packed bundles of a stick.

    Args:
        stick: Where they are. Looked through when the first blob is asked for.
    """

    stick: Stick
    name: str = "packed bundle"
    _places: dict[Digest, list[_Place]] | None = None
    _opened: ExitStack = field(default_factory=ExitStack)

    def cost_bytes(self, want: Want) -> int | None:
        """Tell the size of what is missing, when some pack claims to have it."""
        return want.missing_bytes if self._find(want.entry) else None

    def make_index(self, entry: FileEntry) -> bytes | None:
        """Make the chunk index from the file itself: when it is the signed file, the index is the signed one, too."""
        whole = ChunkIndex(schema=1, chunk_bytes=CHUNK_BYTES, size=entry.size, sha256=())
        for place in self._find(entry):
            digests = tuple(
                hash_bytes(self._read(place, whole, number)) for number in range(-(-entry.size // CHUNK_BYTES))
            )
            index = encode_canonical(msgspec.structs.replace(whole, sha256=digests))
            if hash_bytes(index) == entry.index:
                return index
            LOG.info("%s in %s is not the signed file", entry.path, place.name)
        return None

    def chunks(self, want: Want) -> Iterator[tuple[int, bytes]]:
        """Read the missing chunks."""
        for place in self._find(want.entry):
            for number in sorted(want.missing):
                yield number, self._read(place, want.index, number)

    def close(self) -> None:
        """Close the packs."""
        self._opened.close()

    def _read(self, place: _Place, index: ChunkIndex, number: int) -> bytes:
        start = place.start + number * index.chunk_bytes
        stop = start + chunk_size(index, number)
        return b"".join(self.stick.blocks(place.descriptor, place.name, start=start, stop=stop))

    def _find(self, entry: FileEntry) -> list[_Place]:
        if self._places is None:
            self._places = {}
            for path in self.stick.packs():
                self._look_into(path, self._places)
        return [place for place in self._places.get(entry.digest, []) if place.size == entry.size]

    def _look_into(self, path: str, places: dict[Digest, list[_Place]]) -> None:
        name = f"{URL}{path}"
        try:
            archive = self._opened.enter_context(os.fdopen(self.stick.take(path), "rb"))
            for file, start in find_files(archive, name):
                place = _Place(descriptor=archive.fileno(), name=name, start=start, size=file.size)
                places.setdefault(file.digest, []).append(place)
        except HostUnreachableError:
            raise
        except (BundleError, FetchError, OSError) as exc:
            LOG.warning("%s is used as far as it can be read: %s", name, exc)
