"""Which parts of a file are still to be fetched. Pure.

A file is checked chunk by chunk while it arrives, so that a broken connection or one altered byte costs one chunk, not the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edged.bundle.manifest import CHUNK_BYTES, ChunkIndex, FileEntry
from edged.codec import decode_json
from edged.errors import DigestMismatchError, DocumentError, TrustError
from edged.files import hash_bytes

_ENTRY_BYTES = 67
"""One digest in a canonical chunk index: quotes, comma and 64 digits."""
_FRAME_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A run of neighbouring chunks: from number ``first`` up to, not including, ``stop``."""

    first: int
    stop: int


def index_limit_bytes(entry: FileEntry) -> int:
    """Return the most bytes an honest chunk index of a file can have."""
    return _FRAME_BYTES + _ENTRY_BYTES * (entry.size // CHUNK_BYTES + 1)


def whole_file_index(entry: FileEntry) -> ChunkIndex:
    """Return the index of a file that is no larger than one chunk: its own digest."""
    return ChunkIndex(schema=1, chunk_bytes=CHUNK_BYTES, size=entry.size, sha256=(entry.sha256,))


def parse_index(entry: FileEntry, data: bytes) -> ChunkIndex:
    """Check a chunk index against the manifest's entry and read it.

    Raises:
        DigestMismatchError: It is not the one the manifest pins.
        TrustError: The publisher signed an index that does not describe the file.
    """
    if hash_bytes(data) != entry.index:
        raise DigestMismatchError(
            f"the chunk index of {entry.path} is not what was signed",
            hint="The host serves an altered or truncated file.",
            digest=entry.sha256,
        )
    try:
        index = decode_json(ChunkIndex, data, source=f"index/{entry.sha256}")
    except DocumentError as exc:
        raise TrustError(f"the signed chunk index of {entry.path} cannot be read: {exc}") from exc
    if index.size != entry.size or len(index.sha256) != -(-index.size // index.chunk_bytes):
        raise TrustError(f"the signed chunk index of {entry.path} does not fit the file", hint="Publish it again.")
    return index


def chunk_size(index: ChunkIndex, number: int) -> int:
    """Return how many bytes one chunk has."""
    return min(index.chunk_bytes, index.size - number * index.chunk_bytes)


def plan_spans(missing: Sequence[int]) -> list[Span]:
    """Join missing chunks, given in ascending order, into as few requests as possible."""
    spans: list[Span] = []
    for number in missing:
        if spans and spans[-1].stop == number:
            spans[-1] = Span(first=spans[-1].first, stop=number + 1)
        else:
            spans.append(Span(first=number, stop=number + 1))
    return spans
