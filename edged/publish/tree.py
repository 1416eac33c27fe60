"""Write the files of a repository so that it is whole whenever the publisher is killed.

Every file is written beside its name, fsynced and renamed. Immutable files (all but ``timestamp.json``) are written once; finding one
with other content is an error, never a reason to write. One publisher at a time holds the tree's lock.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.errors import BundleError, StoreError, UnavailableError
from edged.files import READ_BLOCK_BYTES, hash_bytes, hash_file, replace_durably, sync_directory
from edged.ids import Digest

LOCK_NAME: Final = ".publish.lock"
PARTS: Final = ("metadata", "targets", "blobs", "index")
"""The directories that a repository consists of; nothing else below its root is ours."""

NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Tree:
    """The directory that a web host offers. Paths are relative to ``root``, with forward slashes."""

    root: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the tree against other publishers, and clear away what a killed one left half written.

        Raises:
            UnavailableError: Another publisher holds it.
        """
        self._make_directory(self.root)
        descriptor = os.open(self.root / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise UnavailableError(
                    f"another edge-publish is writing to {self.root}", hint="Run the command again when it is done."
                ) from exc
            for part in PARTS:
                for torn in (self.root / part).rglob(".*.new"):
                    torn.unlink()
            yield
        finally:
            os.close(descriptor)

    def has(self, path: str) -> bool:
        """Tell whether a file is there."""
        return (self.root / path).is_file()

    def read(self, path: str) -> bytes:
        """Read a whole file.

        Raises:
            OSError: It cannot be read.
        """
        return (self.root / path).read_bytes()

    def add(self, path: str, data: bytes) -> bool:
        """Add an immutable file; return False when it was there already.

        Raises:
            StoreError: A file with other content has this name.
        """
        target = self.root / path
        if self._has_already(target, hash_bytes(data)):
            return False
        self._make_directory(target.parent)
        replace_durably(target, data)
        return True

    def add_copy(self, path: str, source: Path, digest: Digest) -> bool:
        """Add an immutable file by copying ``source`` in bounded memory; return False when it was there already.

        Raises:
            StoreError: A file with other content has this name.
            BundleError: ``source`` is not what ``digest`` says; nothing was added.
        """
        target = self.root / path
        if self._has_already(target, digest):
            return False
        self._make_directory(target.parent)
        temporary = target.with_name(f".{target.name}.new")
        try:
            if is_whole := _copy(source, temporary) == digest:
                temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        if not is_whole:
            raise BundleError(
                f"{source} changed while it was being published", hint="Build the bundle again.", expected=digest
            )
        sync_directory(target.parent)
        return True

    def replace(self, path: str, data: bytes) -> None:
        """Replace a file that may change, in one step for every reader."""
        target = self.root / path
        before_ns = target.stat().st_mtime_ns if target.exists() else 0
        self._make_directory(target.parent)
        replace_durably(target, data)
        # Web servers make ETags of the modification time in whole seconds and the size: the same second would hide this change.
        if target.stat().st_mtime_ns // NS_PER_S <= before_ns // NS_PER_S:
            later_ns = before_ns + NS_PER_S
            os.utime(target, ns=(later_ns, later_ns))

    def _has_already(self, target: Path, digest: Digest) -> bool:
        if not target.exists():
            return False
        found, _ = hash_file(target)
        if found != digest:
            hint = "Published files never change; restore it from a copy, or remove it when it was damaged."
            raise StoreError(f"{target} exists with other content", hint=hint, expected=digest, found=found)
        return True

    def _make_directory(self, path: Path) -> None:
        if path.is_dir():
            return
        self._make_directory(path.parent)
        path.mkdir(exist_ok=True)
        # Whatever the umask is: a web server reads it as another user.
        path.chmod(0o755)
        sync_directory(path.parent)


def _copy(source: Path, target: Path) -> Digest:
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while block := reader.read(READ_BLOCK_BYTES):
            digest.update(block)
            writer.write(block)
        writer.flush()
        os.fchmod(writer.fileno(), 0o644)
        os.fsync(writer.fileno())
    return Digest(digest.hexdigest())
