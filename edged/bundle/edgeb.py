"""``NAME-VERSION.edgeb``: a bundle as one file, to carry on a stick or through a pipeline.

It is a POSIX tar that any tar program can list, and there is exactly one such file for a bundle: the manifest first, then every file it
names once, sorted by path; type regular, mode 0644, owner and time zero; padded with zeros to a multiple of 10240 bytes. A reader
therefore knows each header before it reads it and compares bytes; links, devices, absolute or climbing paths, duplicates, extra members
and headers that say other sizes have no way in, because nothing in the archive is ever obeyed.
"""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from edged.bundle.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, FileEntry, Manifest
from edged.bundle.parse import parse_manifest
from edged.errors import BundleError, DigestMismatchError, StoreError
from edged.files import READ_BLOCK_BYTES, sync_directory

SUFFIX: Final = ".edgeb"
MAX_TOTAL_BYTES: Final = 1 << 36
"""Largest bundle that is unpacked unless the caller allows more: 64 GiB."""

_HINT: Final = "Make it again: edge-publish bundle build --edgeb."


def read_manifest(directory: Path) -> tuple[bytes, Manifest]:
    """Read the manifest of a bundle directory, as bytes and parsed.

    Raises:
        BundleError: There is none, or it is too large.
        ManifestError: It does not follow its schema.
        OSError: It cannot be read.
    """
    path = directory / MANIFEST_NAME
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise BundleError(
            f"{directory} is not a bundle: it has no {MANIFEST_NAME}", hint="Make one: edge-publish bundle build."
        ) from exc
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleError(f"{path} is larger than {MAX_MANIFEST_BYTES} bytes", hint="Use fewer files or variants.")
    return data, parse_manifest(data, source=str(path))


def pack(directory: Path, target: Path) -> Manifest:
    """Write a bundle directory as one file; an existing file is replaced once the new one is complete.

    Raises:
        BundleError: The directory is no bundle, or a file in it is not the one its manifest pins.
        OSError: The file cannot be written.
    """
    data, manifest = read_manifest(directory)
    temporary = target.with_name(f".{target.name}.new")
    try:
        with temporary.open("wb") as out:
            _write_member(out, MANIFEST_NAME, len(data), [data])
            for entry in _entries(manifest):
                _write_member(out, entry.path, entry.size, _checked(entry, directory / entry.path))
            out.write(bytes(_end_length(out.tell())))
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(target.parent)
    return manifest


def read_packed_manifest(source: Path) -> Manifest:
    """Read only the manifest of a packed bundle.

    Raises:
        BundleError: The file is not a packed bundle.
        OSError: It cannot be read.
    """
    with source.open("rb") as archive:
        return _take_manifest(archive, source)[1]


def find_files(archive: BinaryIO, source: str) -> Iterator[tuple[FileEntry, int]]:
    """Find where the files of a packed bundle lie in it, without reading them.

    Args:
        archive: The packed bundle, at its beginning; it can seek.
        source: What to call it in errors.

    Returns:
        Each file, as the manifest inside describes it, and the offset of its first byte. Whether it is that file is not looked at.

    Raises:
        BundleError: The archive is not a packed bundle, or ends too early; the files that were found before are there.
        OSError: It cannot be read.
    """
    _, manifest = _take_manifest(archive, source)
    start = archive.tell()
    size = archive.seek(0, os.SEEK_END)
    for entry in _entries(manifest):
        archive.seek(start)
        _take_header(archive, source, entry.path, entry.size)
        start = archive.tell()
        if start + entry.size > size:
            raise BundleError(f"{source} ends in the middle of {entry.path}", hint=_HINT)
        yield entry, start
        start += entry.size + _padding(entry.size)


def unpack(source: Path, directory: Path, *, max_total_bytes: int = MAX_TOTAL_BYTES) -> Manifest:
    """Unpack a bundle into a new directory, which appears only when every byte was found right.

    Args:
        source: The file.
        directory: Must not exist; its parent must.
        max_total_bytes: Most bytes that the files may have together.

    Raises:
        BundleError: The file is not a packed bundle, or holds more than ``max_total_bytes``.
        DigestMismatchError: A file in it is not the one its manifest pins.
        StoreError: ``directory`` exists.
        OSError: It cannot be read, or the disk refused.
    """
    if directory.exists():
        raise StoreError(f"{directory} exists already", hint="Name a directory that does not.")
    staging = directory.with_name(f".{directory.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        with source.open("rb") as archive:
            data, manifest = _take_manifest(archive, source)
            total = sum(entry.size for entry in _entries(manifest))
            if total > max_total_bytes:
                raise BundleError(
                    f"{source} holds {total} bytes, {max_total_bytes} are allowed", hint="Use a smaller bundle."
                )
            _write_file(staging / MANIFEST_NAME, iter([data]))
            for entry in _entries(manifest):
                _take_header(archive, source, entry.path, entry.size)
                _write_file(staging / entry.path, _taken(archive, source, entry))
            _take_end(archive, source)
        for path in sorted(p for p in staging.rglob("*") if p.is_dir()):
            sync_directory(path)
        sync_directory(staging)
        staging.rename(directory)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    sync_directory(directory.parent)
    return manifest


def _entries(manifest: Manifest) -> list[FileEntry]:
    return sorted(manifest.files_for(manifest.variants), key=lambda entry: entry.path)


def _header(path: str, size: int) -> bytes:
    # PAX, because a bundle path may be longer and a model larger than the 1988 format can say; short ones need no extra block.
    info = tarfile.TarInfo(path)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> int:
    return -size % tarfile.BLOCKSIZE


def _end_length(written: int) -> int:
    """Two blocks of zeros end an archive, and its length is a multiple of a record (POSIX pax, "ustar Interchange Format")."""
    end = 2 * tarfile.BLOCKSIZE
    return end + -(written + end) % tarfile.RECORDSIZE


def _write_member(out: BinaryIO, path: str, size: int, blocks: Iterator[bytes] | list[bytes]) -> None:
    out.write(_header(path, size))
    out.writelines(blocks)
    out.write(bytes(_padding(size)))


def _checked(entry: FileEntry, path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from _hashed(entry, file.read, str(path))
            if file.read(1):
                raise BundleError(
                    f"{path} has more than the {entry.size} bytes its manifest says", hint="Build the bundle again."
                )
    except OSError as exc:
        raise BundleError(f"cannot read {path}: {exc.strerror}", hint="Build the bundle again.") from exc


def _hashed(entry: FileEntry, read: Callable[[int], bytes], what: str) -> Iterator[bytes]:
    """Pass on exactly ``entry.size`` bytes; the last of them only counts when the digest is right, so consume them all."""
    digest = hashlib.sha256()
    left = entry.size
    while left:
        block = read(min(left, READ_BLOCK_BYTES))
        if not block:
            raise BundleError(f"{what} ends {left} bytes too early", hint=_HINT)
        digest.update(block)
        left -= len(block)
        yield block
    if digest.hexdigest() != entry.sha256:
        raise DigestMismatchError(
            f"{what} is not the file its manifest pins", hint=_HINT, expected=entry.sha256, found=digest.hexdigest()
        )


def _take_manifest(archive: BinaryIO, source: Path | str) -> tuple[bytes, Manifest]:
    block = archive.read(tarfile.BLOCKSIZE)
    try:
        size = tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "strict").size
    except (tarfile.HeaderError, UnicodeDecodeError) as exc:
        raise BundleError(f"{source} is not a packed bundle: it does not begin with a tar header", hint=_HINT) from exc
    if not 0 <= size <= MAX_MANIFEST_BYTES or block != _header(MANIFEST_NAME, size):
        raise BundleError(f"{source} is not a packed bundle: it does not begin with {MANIFEST_NAME}", hint=_HINT)
    data = archive.read(size)
    _take_padding(archive, source, MANIFEST_NAME, size)
    return data, parse_manifest(data, source=f"{source}: {MANIFEST_NAME}")


def _take_header(archive: BinaryIO, source: Path | str, path: str, size: int) -> None:
    expected = _header(path, size)
    found = archive.read(len(expected))
    if found != expected:
        raise BundleError(f"{source}: expected {path} of {size} bytes, found {_describe(found)}", hint=_HINT)


def _taken(archive: BinaryIO, source: Path, entry: FileEntry) -> Iterator[bytes]:
    yield from _hashed(entry, archive.read, f"{source}: {entry.path}")
    _take_padding(archive, source, entry.path, entry.size)


def _take_padding(archive: BinaryIO, source: Path | str, path: str, size: int) -> None:
    length = _padding(size)
    if archive.read(length) != bytes(length):
        raise BundleError(f"{source}: {path} is cut short or not followed by zeros", hint=_HINT)


def _take_end(archive: BinaryIO, source: Path) -> None:
    expected = bytes(_end_length(archive.tell()))
    found = archive.read(len(expected) + 1)
    if found != expected:
        raise BundleError(f"{source}: expected the end of the archive, found {_describe(found)}", hint=_HINT)


def _describe(block: bytes) -> str:
    """Say what a header that should not be there is, for the person who has to find out where it came from."""
    try:
        info = tarfile.TarInfo.frombuf(block[: tarfile.BLOCKSIZE], tarfile.ENCODING, "replace")
    except tarfile.HeaderError:
        return f"{len(block)} bytes that are no header" if block.strip(b"\0") else "nothing"
    kinds = {
        tarfile.SYMTYPE: "a symbolic link",
        tarfile.LNKTYPE: "a hard link",
        tarfile.DIRTYPE: "a directory",
        tarfile.REGTYPE: "a file",
    }
    return f"{kinds.get(info.type, 'a special member')} named {info.name!r} of {info.size} bytes"


def _write_file(path: Path, blocks: Iterator[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for block in blocks:
            file.write(block)
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())
