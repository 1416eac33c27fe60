"""Write the files of a repository so that it is whole whenever the publisher is killed.

Every file is written beside its name, fsynced and renamed. Immutable files (all but ``timestamp.json``) are written once; finding one
with other content is an error, never a reason to write.

Two locks. Work that may take long, copying blobs or gathering signatures of a root, holds one: one publisher at a time. Whoever changes
what is signed holds the other, for as long as it takes to write some small files; so a model can be stopped while gigabytes are being
copied, or while somebody looks for a passphrase. Whatever a killed publisher left half written is cleared away when the next takes the
lock under which it was written.
"""

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.errors import BundleError, DiskFullError, StoreError, UnavailableError
from edged.files import READ_BLOCK_BYTES, hash_bytes, hash_file, sync_directory
from edged.ids import Digest

METADATA_LOCK: Final = ".metadata.lock"
WORK_LOCK: Final = ".work.lock"
METADATA_PARTS: Final = ("metadata", "targets")
BLOBS_PARTS: Final = ("blobs", "index")
"""With the others, the directories that a repository consists of; nothing else below its root is ours."""

PATIENCE_S: Final = 10.0
"""How long the metadata's lock is waited for; it is held for the time of some small writes."""
_LOOK_EVERY_S: Final = 0.05

NS_PER_S: Final = 1_000_000_000
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Tree:
    """The directory that a web host offers. Paths are relative to ``root``, with forward slashes."""

    root: Path
    patience_s: float = PATIENCE_S

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold what is signed against other publishers: metadata and targets.

        Raises:
            UnavailableError: Another publisher holds it and goes on holding it.
        """
        with self._held(METADATA_LOCK, METADATA_PARTS, patience_s=self.patience_s):
            yield

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold the tree for long work, with its blobs and their indexes; at once or not at all, because another may need hours.

        Raises:
            UnavailableError: Another publisher is at it.
        """
        with self._held(WORK_LOCK, BLOBS_PARTS, patience_s=0.0):
            yield

    @contextmanager
    def _held(self, name: str, parts: Sequence[str], *, patience_s: float) -> Iterator[None]:
        self._make_directory(self.root)
        descriptor = os.open(self.root / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._wait_for(descriptor, patience_s)
            for part in parts:
                for torn in (self.root / part).rglob(".*.new"):
                    torn.unlink()
            yield
        finally:
            os.close(descriptor)

    def _wait_for(self, descriptor: int, patience_s: float) -> None:
        deadline_s = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                if time.monotonic() >= deadline_s:
                    raise UnavailableError(
                        f"another edge-publish is writing to {self.root}", hint="Run the command again when it is done."
                    ) from exc
                time.sleep(_LOOK_EVERY_S)
            else:
                return

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
            DiskFullError: There is no room for it; nothing was added.
        """
        target = self.root / path
        digest = hash_bytes(data)
        if self._has_already(target, digest):
            return False
        self._write(target, [data], digest=digest)
        return True

    def add_copy(
        self, path: str, source: Path, digest: Digest, *, progress: Callable[[int], None] | None = None
    ) -> bool:
        """Add an immutable file by copying ``source`` in bounded memory; return False when it was there already.

        Args:
            path: Where to.
            source: Where from.
            digest: What the copy must hash to.
            progress: Told the number of bytes of each block that was written.

        Raises:
            StoreError: A file with other content has this name.
            DiskFullError: There is no room for it; nothing was added.
            BundleError: ``source`` is not what ``digest`` says; nothing was added.
        """
        target = self.root / path
        if self._has_already(target, digest):
            return False
        if not self._write(target, _blocks(source, progress), digest=digest):
            raise BundleError(
                f"{source} changed while it was being published", hint="Build the bundle again.", expected=digest
            )
        return True

    def replace(self, path: str, data: bytes) -> None:
        """Replace a file that may change, in one step for every reader.

        Raises:
            DiskFullError: There is no room for it; the old content is still in place.
        """
        target = self.root / path
        before_ns = target.stat().st_mtime_ns if target.exists() else 0
        # Web servers make ETags of the modification time in whole seconds and the size: the same second would hide this change.
        self._write(target, [data], digest=hash_bytes(data), not_before_ns=(before_ns // NS_PER_S + 1) * NS_PER_S)

    def _write(self, target: Path, blocks: Iterable[bytes], *, digest: Digest, not_before_ns: int = 0) -> bool:
        """Put a file in its place, complete with mode and time, if its bytes are those of ``digest``; tell whether they are."""
        self._make_directory(target.parent)
        temporary = target.with_name(f".{target.name}.new")
        found = hashlib.sha256()
        try:
            with temporary.open("wb") as file:
                for block in blocks:
                    found.update(block)
                    file.write(block)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                if os.fstat(file.fileno()).st_mtime_ns < not_before_ns:
                    os.utime(file.fileno(), ns=(not_before_ns, not_before_ns))
                os.fsync(file.fileno())
            if found.hexdigest() != digest:
                temporary.unlink()
                return False
            temporary.replace(target)
        except OSError as exc:
            temporary.unlink(missing_ok=True)
            if exc.errno in _NO_SPACE:
                hint = "Make room and run the command again; it goes on where this one stopped."
                raise DiskFullError(f"there is no room for {target}: {exc.strerror}", hint=hint) from exc
            raise
        sync_directory(target.parent)
        return True

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
        # Whatever the umask is: a web server reads it as another user. In one step, because the next run takes it as it finds it.
        before = os.umask(0o022)
        try:
            path.mkdir(exist_ok=True)
        finally:
            os.umask(before)
        sync_directory(path.parent)


def _blocks(source: Path, progress: Callable[[int], None] | None) -> Iterator[bytes]:
    with source.open("rb") as reader:
        while block := reader.read(READ_BLOCK_BYTES):
            yield block
            if progress is not None:
                progress(len(block))
