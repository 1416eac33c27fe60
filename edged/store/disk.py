"""What every writer of the store does alike: name the disk's errors, make directories, and replace documents."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Final

from edged.errors import DiskFullError, StoreError
from edged.files import replace_durably, sync_directory

DIRECTORY_MODE: Final = 0o755


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn what the disk says into the store's errors.

    Args:
        doing: What was being done, to complete "while ...".

    Raises:
        DiskFullError: No space, or no quota, is left.
        StoreError: Any other ``OSError``.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno in {ENOSPC, EDQUOT}:
            raise DiskFullError(
                f"disk full while {doing}", hint="Free some disk; the update goes on by itself."
            ) from exc
        raise StoreError(f"{exc.strerror or exc} while {doing}", hint="Check the disk and the store's owner.") from exc


def make_directory(path: Path) -> None:
    """Make a directory that everybody may read, whatever the umask, and make its name durable."""
    if not path.is_dir():
        if not path.parent.is_dir():
            make_directory(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(DIRECTORY_MODE)
        sync_directory(path.parent)


def install_document(path: Path, data: bytes) -> None:
    """Keep a verified document of the fleet; the one before stays until this one is durable.

    Args:
        path: Its place, as ``StoreLayout`` names it.
        data: The document.

    Raises:
        DiskFullError: No space is left.
        StoreError: The disk refused otherwise.
    """
    with disk_errors(f"writing {path}"):
        make_directory(path.parent)
        replace_durably(path, data)
