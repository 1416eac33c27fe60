"""Bring blobs into the store: resumed where they stopped, checked chunk by chunk. Blocking.

A download lives in ``partial/<digest>``, each chunk at its place, and its index beside it. What is already right is found by hashing, so
nothing has to be written down about progress and a power cut cannot make it wrong. The file becomes a blob by one rename, after all of
it was hashed from disk.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from tuf.api.exceptions import DownloadLengthMismatchError

from edged.bundle.manifest import ChunkIndex, FileEntry
from edged.errors import DigestMismatchError, DiskFullError, FetchError
from edged.files import hash_bytes, sync_directory
from edged.store.install import FILE_MODE, disk_errors, hash_from_disk, make_directory
from edged.store.layout import StoreLayout
from edged.update.chunks import Span, chunk_size, index_limit_bytes, parse_index, plan_spans, whole_file_index
from edged.update.fetcher import Host, Stream

MAX_TRIES: Final = 3
"""How often one chunk is fetched before the host's copy counts as altered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloader:
    """Fetches blobs of one repository.

    Args:
        host: What fetches.
        url: The repository, with a slash at its end.
        layout: The store.
        on_bytes: Told how many bytes of a wanted file are right that were not before; also the sign of progress.
    """

    host: Host
    url: str
    layout: StoreLayout
    on_bytes: Callable[[int], None]

    def fetch_blob(self, entry: FileEntry) -> None:
        """Make sure that the store holds a file's blob.

        Raises:
            DigestMismatchError: The host's bytes are not the signed ones, also when asked again.
            FetchError: The host does not answer; what arrived is kept and the next call goes on from there.
            DiskFullError: No space is left.
            StoreError: The disk refused otherwise.
        """
        with disk_errors(f"looking for {entry.path}"):
            if is_stored(self.layout, entry):
                self.on_bytes(entry.size)
                return
        index = self._read_index(entry) if entry.index is not None else whole_file_index(entry)
        path = self.layout.partial / entry.sha256
        with disk_errors(f"downloading {entry.path}"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                file.truncate(entry.size)
                self._fill(file, entry, index)
            _keep(self.layout, entry, path, progress=self._go_on)

    def _read_index(self, entry: FileEntry) -> ChunkIndex:
        path = self.layout.partial / f"{entry.sha256}.index"
        with disk_errors(f"reading {path}"):
            known = path.read_bytes() if path.is_file() else b""
        if hash_bytes(known) != entry.index:
            try:
                known = self.host.read(f"{self.url}index/{entry.sha256}", max_bytes=index_limit_bytes(entry))
            except DownloadLengthMismatchError as exc:
                raise _altered(entry, "its chunk index is too long") from exc
        index = parse_index(entry, known)
        with disk_errors(f"writing {path}"):
            path.write_bytes(known)
        return index

    def _fill(self, file: BinaryIO, entry: FileEntry, index: ChunkIndex) -> None:
        """Fetch chunks until every one is right."""
        missing = self._missing(file, index)
        tries = dict.fromkeys(missing, 0)
        while missing:
            before = len(missing)
            try:
                for span in plan_spans(sorted(missing)):
                    if span.first in missing:  # a host that ignores Range may have sent it already
                        self._fetch_span(file, entry, index, span, missing=missing)
            except FetchError:
                if len(missing) == before:
                    raise
                continue  # some chunks arrived before the connection broke: go on at once
            for number in missing:
                tries[number] += 1
                if tries[number] >= MAX_TRIES:
                    raise _altered(entry, f"chunk {number} of {len(index.sha256)} is wrong")

    def _missing(self, file: BinaryIO, index: ChunkIndex) -> set[int]:
        missing: set[int] = set()
        for number, digest in enumerate(index.sha256):
            file.seek(number * index.chunk_bytes)
            if hash_bytes(file.read(chunk_size(index, number))) == digest:
                self.on_bytes(chunk_size(index, number))
            else:
                missing.add(number)
                self._go_on()
        return missing

    def _go_on(self) -> None:
        """Show progress where no byte of the file came: hashing takes time, too."""
        self.on_bytes(0)

    def _fetch_span(
        self, file: BinaryIO, entry: FileEntry, index: ChunkIndex, span: Span, *, missing: set[int]
    ) -> None:
        """Fetch one run of chunks, write the right ones and take them out of ``missing``."""
        first_byte = span.first * index.chunk_bytes
        last_byte = min(span.stop * index.chunk_bytes, index.size) - 1
        is_whole = first_byte == 0 and last_byte == index.size - 1
        url = f"{self.url}blobs/{entry.sha256[:2]}/{entry.sha256}"
        byte_range = (None, None) if is_whole else (first_byte, last_byte)
        with self.host.open(url, first_byte=byte_range[0], last_byte=byte_range[1]) as stream:
            if stream.total not in {None, entry.size}:
                raise _altered(entry, f"the host has {stream.total} bytes of it")
            # A host that ignores Range starts at 0; chunks that are right already are passed over.
            for number, chunk in _chunks(stream, index):
                if number in missing and hash_bytes(chunk) == index.sha256[number]:
                    file.seek(number * index.chunk_bytes)
                    file.write(chunk)
                    file.flush()  # this process may be killed at any moment, and what it has fetched is not to be fetched again
                    missing.remove(number)
                    self.on_bytes(len(chunk))


def is_stored(layout: StoreLayout, entry: FileEntry) -> bool:
    """Tell whether the store holds a blob of the right size; its bytes are hashed again when a bundle is staged."""
    path = layout.blob(entry.digest)
    return path.is_file() and path.stat().st_size == entry.size


def check_space(layout: StoreLayout, entries: Sequence[FileEntry], *, reserve_bytes: int) -> None:
    """Make sure before a download that it fits, with the reserve kept.

    Raises:
        DiskFullError: It does not.
        StoreError: The disk refused.
    """
    with disk_errors("looking for free disk"):
        wanted = {entry.digest: entry.size for entry in entries if not is_stored(layout, entry)}
        needed = sum(wanted.values()) - sum(_allocated_bytes(layout.partial / digest) for digest in wanted)
        free = shutil.disk_usage(layout.root).free
    if wanted and needed + reserve_bytes > free:
        raise DiskFullError(
            f"{needed} bytes are to be fetched, {free} are free and {reserve_bytes} of them are kept in reserve",
            hint="Free some disk, or lower update.disk_reserve_bytes.",
            needed_bytes=needed,
            free_bytes=free,
        )


def _chunks(stream: Stream, index: ChunkIndex) -> Iterator[tuple[int, bytes]]:
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


def _keep(layout: StoreLayout, entry: FileEntry, path: Path, *, progress: Callable[[], None]) -> None:
    found, _ = hash_from_disk(path, progress=progress)
    if found != entry.digest:
        path.unlink()
        raise _altered(entry, "all its chunks are right, the file is not")
    path.chmod(FILE_MODE)
    blob = layout.blob(entry.digest)
    make_directory(blob.parent)
    path.replace(blob)
    sync_directory(blob.parent)
    (layout.partial / f"{entry.sha256}.index").unlink(missing_ok=True)


def _allocated_bytes(path: Path) -> int:
    try:
        return min(path.stat().st_blocks * 512, path.stat().st_size)
    except FileNotFoundError:
        return 0


def _altered(entry: FileEntry, why: str) -> DigestMismatchError:
    return DigestMismatchError(
        f"{entry.path} is not what was signed: {why}",
        hint="The host serves an altered or truncated file; publish it again.",
        digest=entry.sha256,
    )
