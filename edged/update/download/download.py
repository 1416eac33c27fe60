"""Bring blobs into the store: resumed where they stopped, checked chunk by chunk. Blocking.

A download lives in ``partial/<digest>``, each chunk at its place, and its index beside it. What is already right is found by hashing, so
nothing has to be written down about progress and a power cut cannot make it wrong. The rest is obtained in the cheapest way there is, and
in the next one where that fails (``edged.update.download.ways``); what was right stays. The file becomes a blob by one rename, after all of
it was hashed from disk.
"""

import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from tuf.api.exceptions import DownloadLengthMismatchError

from edged.bundle.manifest import ChunkIndex, FileEntry
from edged.errors import DigestMismatchError, DiskFullError, FetchError, FileMissingError
from edged.files import hash_bytes, sync_directory
from edged.store.disk import disk_errors, make_directory
from edged.store.install import FILE_MODE, hash_from_disk
from edged.store.layout import StoreLayout
from edged.update.download.chunks import chunk_size, index_limit_bytes, parse_index, whole_file_index
from edged.update.download.ways import Want, Way, WholeFile, altered, choose_way
from edged.update.origins.origin import Origin

LOG = logging.getLogger(__name__)

MAX_TRIES: Final = 3
"""How often one chunk may come wrong in the same way before what is there counts as altered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloader:
    """Brings blobs of one repository.

    Args:
        host: What the repository's files are read from.
        url: The repository, with a slash at its end.
        layout: The store.
        on_bytes: Told how many bytes of a wanted file are right that were not before; also the sign of progress.
        on_source: Told where the next bytes come from, as a word for people.
        ways: Other ways to obtain blobs than the repository's own files.
        name: The word for those.
    """

    host: Origin
    url: str
    layout: StoreLayout
    on_bytes: Callable[[int], None]
    on_source: Callable[[str], None] = lambda _: None
    ways: Sequence[Way] = ()
    name: str = "host"

    def fetch_blob(self, entry: FileEntry) -> None:
        """Make sure that the store holds a file's blob.

        Raises:
            DigestMismatchError: The bytes there are not the signed ones, also when asked again.
            FetchError: They do not come; what arrived is kept and the next call goes on from there.
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
            known = self._fetch_index(entry)
        index = parse_index(entry, known)
        with disk_errors(f"writing {path}"):
            path.write_bytes(known)
        return index

    def _fetch_index(self, entry: FileEntry) -> bytes:
        try:
            return self.host.read(f"{self.url}index/{entry.sha256}", max_bytes=index_limit_bytes(entry))
        except DownloadLengthMismatchError as exc:
            raise altered(entry, "its chunk index is too long") from exc
        except FileMissingError:
            made = next((made for way in self.ways if (made := way.make_index(entry)) is not None), None)
            if made is None:
                raise
            return made

    def _fill(self, file: BinaryIO, entry: FileEntry, index: ChunkIndex) -> None:
        """Obtain chunks until every one is right."""
        missing = self._missing(file, index)
        want = Want(entry=entry, index=index, missing=missing)
        untried: list[Way] = [*self.ways, WholeFile(origin=self.host, url=self.url, name=self.name)]
        failure: FetchError | DigestMismatchError | None = None
        while missing and (way := choose_way(untried, want)) is not None:
            untried.remove(way)
            self.on_source(way.name)
            try:
                self._use(way, want, file, missing)
            except (FetchError, DigestMismatchError) as exc:
                LOG.info("%s cannot come from the %s: %s", entry.path, way.name, exc)
                failure = exc
        if missing:
            raise failure or altered(entry, f"{len(missing)} of its {len(index.sha256)} chunks do not come")

    def _use(self, way: Way, want: Want, file: BinaryIO, missing: set[int]) -> None:
        """Take what one way brings until it brings nothing more; what is right leaves ``missing``."""
        index, wrong = want.index, Counter[int]()
        while missing:
            before, wrong_before = len(missing), wrong.total()
            try:
                for number, chunk in way.chunks(want):
                    if number not in missing:
                        continue
                    if hash_bytes(chunk) != index.sha256[number]:
                        wrong[number] += 1
                        continue
                    file.seek(number * index.chunk_bytes)
                    file.write(chunk)
                    file.flush()  # this process may be killed at any moment, and what it has fetched is not to be fetched again
                    missing.remove(number)
                    self.on_bytes(len(chunk))
            except FetchError:
                if len(missing) == before:
                    raise
                continue  # some chunks arrived before the connection broke: go on at once
            if any(count >= MAX_TRIES for count in wrong.values()):
                raise altered(want.entry, f"chunk {max(wrong)} of {len(index.sha256)} is wrong")
            if len(missing) == before and wrong.total() == wrong_before:
                return

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


def is_stored(layout: StoreLayout, entry: FileEntry) -> bool:
    """Tell whether the store holds a blob of the right size; its bytes are hashed again when a bundle is staged."""
    path = layout.blob(entry.digest)
    return path.is_file() and path.stat().st_size == entry.size


def missing_bytes(layout: StoreLayout, entries: Sequence[FileEntry]) -> int:
    """Return how much disk the files of a bundle still need; nothing when all of them are blobs of the store.

    Raises:
        StoreError: The disk refused.
    """
    with disk_errors("looking for what is there"):
        wanted = {entry.digest: entry.size for entry in entries if not is_stored(layout, entry)}
        return sum(wanted.values()) - sum(_allocated_bytes(layout.partial / digest) for digest in wanted)


def check_space(layout: StoreLayout, entries: Sequence[FileEntry], *, reserve_bytes: int) -> None:
    """Make sure before a download that it fits, with the reserve kept.

    Raises:
        DiskFullError: It does not.
        StoreError: The disk refused.
    """
    needed = missing_bytes(layout, entries)
    with disk_errors("looking for free disk"):
        free = shutil.disk_usage(layout.root).free
        is_complete = all(is_stored(layout, entry) for entry in entries)
    if not is_complete and needed + reserve_bytes > free:
        raise DiskFullError(
            f"{needed} bytes are to be fetched, {free} are free and {reserve_bytes} of them are kept in reserve",
            hint="Free some disk, or lower update.disk_reserve_bytes.",
            needed_bytes=needed,
            free_bytes=free,
        )


def _keep(layout: StoreLayout, entry: FileEntry, path: Path, *, progress: Callable[[], None]) -> None:
    found, _ = hash_from_disk(path, progress=progress)
    if found != entry.digest:
        path.unlink()
        raise altered(entry, "all its chunks are right, the file is not")
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
