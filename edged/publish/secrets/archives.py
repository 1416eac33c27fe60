"""Looks one level into archives (zip, gzip), within bounds, so that what is compressed is scanned like the rest.

An archive in an archive is left closed. What cannot be looked through (encrypted, damaged, beyond the bounds) is told to the caller, for
whom it is a finding: nobody knows what is in it.
"""

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

ZIP_MAGIC: Final = b"PK\x03\x04"
GZIP_MAGIC: Final = b"\x1f\x8b\x08"
MAX_MEMBERS: Final = 10_000
MAX_TOTAL_BYTES: Final = 1 << 30
"""Of all members, written out."""
MAX_DIRECTORY_BYTES: Final = 16 << 20
"""Of a zip file's list of members, which is read into memory."""

Read = Callable[[int], bytes]
"""Returns at most so many of the next bytes; none at the end."""

_MAX_REASON: Final = 200
_END: Final = b"PK\x05\x06"
_END_BYTES: Final = 22
_LONGEST_COMMENT: Final = 0xFFFF
_UNREADABLE: Final = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile),
    *(EOFError, NotImplementedError, RuntimeError, ValueError, OSError),
)


class ClosedArchiveError(Exception):
    """An archive cannot be looked through; its text says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive, to be read from its beginning to its end, once, before the next one is asked for."""

    name: str
    read: Read


def is_archive(start: bytes) -> bool:
    """Tell whether a file that begins like this is an archive."""
    return start.startswith((ZIP_MAGIC, GZIP_MAGIC))


def open_members(path: Path, start: bytes) -> Iterator[Member]:
    """Go through the files in an archive.

    Args:
        path: The archive.
        start: Its first bytes.

    Raises:
        ClosedArchiveError: It, or one of its members, cannot be looked through.
    """
    try:
        if start.startswith(GZIP_MAGIC):
            with gzip.open(path) as stream:
                yield Member("", _bounded(stream, [MAX_TOTAL_BYTES]))
        else:
            yield from _zip_members(path)
    except _UNREADABLE as exc:
        raise _closed(exc) from exc


def _zip_members(path: Path) -> Iterator[Member]:
    if (size := _directory_bytes(path)) > MAX_DIRECTORY_BYTES:
        raise ClosedArchiveError(f"its list of members has {size} bytes")
    left = [MAX_TOTAL_BYTES]
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if len(infos) > MAX_MEMBERS:
            raise ClosedArchiveError(f"it has {len(infos)} members")
        for info in infos:
            if not info.is_dir():
                with archive.open(info) as stream:
                    yield Member(info.filename, _bounded(stream, left))


def _directory_bytes(path: Path) -> int:
    """Return the size of a zip file's list of members as its end record says it (PKWARE APPNOTE, 4.3.16)."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END_BYTES - _LONGEST_COMMENT))
        tail = file.read()
    at = tail.rfind(_END)
    if at < 0:
        raise zipfile.BadZipFile("it has no end record")
    # Zip64, whose sizes stand elsewhere, says 0xFFFFFFFF here, which is beyond the bound as well.
    return int.from_bytes(tail[at + 12 : at + 16], "little")


def _bounded(stream: IO[bytes] | gzip.GzipFile, left: list[int]) -> Read:
    """Read from a member until all members together have given what they may, which ``left`` counts down."""

    def read(size: int) -> bytes:
        try:
            data = stream.read(size)
        except _UNREADABLE as exc:
            raise _closed(exc) from exc
        left[0] -= len(data)
        if left[0] < 0:
            raise ClosedArchiveError(f"it has more than {MAX_TOTAL_BYTES} bytes when written out")
        return data

    return read


def _closed(exc: Exception) -> ClosedArchiveError:
    return ClosedArchiveError(str(exc)[:_MAX_REASON] or type(exc).__name__)
