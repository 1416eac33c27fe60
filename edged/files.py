"""Files that are replaced whole, of which some survive a power cut, and hashing of what is really on the disk."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edged.errors import StoreError
from edged.ids import Digest

READ_BLOCK_BYTES = 1 << 18


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable (``fsync(2)`` on the directory itself)."""
    _sync(path, os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make a file's content durable, but not its name; being allowed to read it is enough."""
    _sync(path, os.O_NOFOLLOW)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put ``data`` at ``path`` so that after a power cut either the old or the new content is there, whole.

    Write to a sibling, fsync it, rename it over the name, fsync the directory. One writer per path at a time.

    Raises:
        OSError: The disk refused; the old content is still in place.
    """
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def replace_shown(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put ``data`` at ``path`` by one rename, so that whoever reads it has the old or the new content, whole.

    For what processes show each other on a tmpfs, where nothing survives a power cut. One writer per path at a time.

    Raises:
        OSError: It is refused; the old content is still in place.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(data)
    temporary.chmod(mode)
    temporary.replace(path)


def hash_bytes(data: bytes | bytearray | memoryview) -> Digest:
    """Return the SHA-256 of some bytes."""
    return Digest(_sha256(data).hexdigest())


def hash_file(path: Path, *, progress: Callable[[], None] | None = None) -> tuple[Digest, int]:
    """Return the SHA-256 and the size in bytes of a file, read in bounded memory.

    Args:
        path: The file.
        progress: Called with each block of ``READ_BLOCK_BYTES``.

    Raises:
        OSError: The file cannot be read.
    """
    digest = _sha256(b"")
    size = 0
    # One buffer: of large blocks that come and go, the allocator keeps some for as long as the process lives.
    buffer = memoryview(bytearray(READ_BLOCK_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            size += count
            if progress is not None:
                progress()
    return Digest(digest.hexdigest()), size


def read_limited(path: Path, *, max_bytes: int, may_wait: bool = False) -> bytes:
    """Read a whole file that must not be larger than ``max_bytes``.

    Args:
        path: Of the file.
        max_bytes: The most that is read.
        may_wait: It may be a pipe, as where a person names a file. Otherwise none is read: whoever writes what this process reads
            could have it wait for ever.

    Raises:
        StoreError: It is larger.
        OSError: It cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if may_wait else os.O_NONBLOCK))
    try:
        if not may_wait and not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise StoreError(f"{path} is larger than {max_bytes} bytes", hint="It was not written by edged; remove it.")
    return data


def is_named(path: Path) -> bool:
    """Tell whether a directory has an entry of this name, a link that leads nowhere included, or may have one that cannot be seen."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _sha256(data: bytes | bytearray | memoryview) -> Any:  # the type has no public name
    # Imported here: it brings OpenSSL along, 0.8 MB that services which hash nothing do without.
    from hashlib import sha256  # noqa: PLC0415 - see above

    return sha256(data)
