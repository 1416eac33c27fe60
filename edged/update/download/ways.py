"""Where the bytes of a blob may come from: ways to obtain it, tried from the cheapest to the dearest.

What the store holds already, in another version's bundle or in a download that stopped, costs nothing and is never asked for again
(``edged.update.download``). For the chunks that are still missing then, each way says how many bytes it would have to fetch, or that it
cannot help. Any of them may fail, or bring only some chunks, or wrong ones; the next one goes on from there. The whole file from the
repository itself is a way like the others, and never costs less than another one, so it is the last.

A way decides nothing: whatever it brings is checked chunk by chunk by the one who asked.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from edged.bundle.manifest import ChunkIndex, FileEntry
from edged.errors import DigestMismatchError
from edged.update.download.chunks import Span, chunk_size, plan_spans
from edged.update.origins.origin import Origin, Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A blob, and what of it is still to be obtained."""

    entry: FileEntry
    index: ChunkIndex
    missing: AbstractSet[int]
    """Numbers of chunks. Becomes smaller while right ones are taken, also in the middle of ``Way.chunks``."""

    @property
    def missing_bytes(self) -> int:
        """How many bytes the missing chunks have."""
        return sum(chunk_size(self.index, number) for number in self.missing)


class Way(Protocol):
    """One way to obtain blobs. Blocking."""

    @property
    def name(self) -> str:
        """A word for people: where the bytes come from."""
        ...

    def cost_bytes(self, want: Want) -> int | None:
        """Tell how many bytes would be fetched for what is missing; None when this way has nothing of it."""
        ...

    def make_index(self, entry: FileEntry) -> bytes | None:
        """Return what may be the chunk index of a file, where the repository has none; None when this way has nothing of it.

        Raises:
            FetchError: It cannot be read.
        """
        ...

    def chunks(self, want: Want) -> Iterator[tuple[int, bytes]]:
        """Bring chunks with their numbers, in any order; of the right size, but otherwise perhaps wrong, and perhaps not all.

        Raises:
            FetchError: No more come this time.
            DigestMismatchError: The file there is certainly another one.
        """
        ...


def choose_way(ways: Sequence[Way], want: Want) -> Way | None:
    """Choose the way that costs least, the first of equals; None when none can help."""
    costs = [(cost, number) for number, way in enumerate(ways) if (cost := way.cost_bytes(want)) is not None]
    return ways[min(costs)[1]] if costs else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeFile:
    """The blob as the repository has it, by ranges.

    Args:
        origin: Where from.
        url: The repository, with a slash at its end.
        name: The word for people.
    """

    origin: Origin
    url: str
    name: str

    def cost_bytes(self, want: Want) -> int:
        """Tell the size of what is missing."""
        return want.missing_bytes

    def make_index(self, _entry: FileEntry) -> None:
        """Make none: the repository's own is a file of its own."""

    def chunks(self, want: Want) -> Iterator[tuple[int, bytes]]:
        """Fetch the missing chunks in as few requests as possible."""
        for span in plan_spans(sorted(want.missing)):
            if span.first in want.missing:  # a host that ignores Range may have sent it already
                yield from self._fetch(want, span)

    def _fetch(self, want: Want, span: Span) -> Iterator[tuple[int, bytes]]:
        digest, index = want.entry.sha256, want.index
        first_byte = span.first * index.chunk_bytes
        last_byte = min(span.stop * index.chunk_bytes, index.size) - 1
        is_whole = first_byte == 0 and last_byte == index.size - 1
        first, last = (None, None) if is_whole else (first_byte, last_byte)
        url = f"{self.url}blobs/{digest[:2]}/{digest}"
        with self.origin.open(url, first_byte=first, last_byte=last) as stream:
            if stream.total not in {None, index.size}:
                raise altered(want.entry, f"there are {stream.total} bytes of it at {url}")
            # A host that ignores Range starts at 0; chunks that are right already are passed over.
            yield from _cut(stream, index)


def altered(entry: FileEntry, why: str) -> DigestMismatchError:
    """Make the error for bytes that are not the signed ones."""
    return DigestMismatchError(
        f"{entry.path} is not what was signed: {why}",
        hint="The file was altered or cut where it is kept or on the way; publish or copy it again.",
        digest=entry.sha256,
    )


def _cut(stream: Stream, index: ChunkIndex) -> Iterator[tuple[int, bytes]]:
    """Cut a body, which begins at the start of a chunk, into numbered chunks; stop where it is longer than the file."""
    number = stream.start // index.chunk_bytes
    buffer = bytearray()
    for block in stream.blocks:
        buffer += block
        while number < len(index.sha256) and len(buffer) >= (size := chunk_size(index, number)):
            yield number, bytes(buffer[:size])
            del buffer[:size]
            number += 1
        if number == len(index.sha256) and buffer:
            return
