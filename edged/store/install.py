"""Put verified bundles into the store, so that each appears whole or not at all.

Staging one bundle, in order; a power cut between any two steps leaves only a directory in ``tmp/`` that the next start removes:

(1) hard links of its blobs and the manifest are put together under ``tmp/``
(2) files and directories are fsynced
(3) every file is hashed again from disk and compared with the manifest
(4) one rename makes the bundle appear under ``bundles/``; the directories above are fsynced

A version never changes content: another manifest under an installed name and version is refused. Files are 0444 and directories 0755:
the store's owner is edged-update, every other user reads.
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.bundle.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, FileEntry, Manifest
from edged.bundle.parse import parse_manifest
from edged.errors import DigestMismatchError, ManifestError, StoreError, TrustError
from edged.files import hash_bytes, hash_file, read_limited, sync_directory, sync_file
from edged.ids import DIGEST_PATTERN, Digest
from edged.store.disk import disk_errors, make_directory
from edged.store.layout import StoreLayout

FILE_MODE: Final = 0o444


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedManifest:
    """A manifest whose bytes the repository's signers vouch for."""

    manifest: Manifest
    data: bytes
    digest: Digest


def prepare_store(layout: StoreLayout) -> None:
    """Make the store's directories and remove what an interrupted run left half-made; downloads under way stay, to be resumed.

    Raises:
        StoreError: The disk refused.
    """
    with disk_errors(f"preparing {layout.root}"):
        if layout.staging.is_dir() and any(layout.staging.iterdir()):
            # What is there may have been a bundle, and on the disk may still be one: it does not lose files while it has its name.
            for path in (*layout.bundles.glob("*/"), layout.staging):
                sync_directory(path)
            shutil.rmtree(layout.staging, ignore_errors=True)
        for path in (layout.root, layout.blobs, layout.bundles, layout.ops, layout.partial, layout.staging):
            make_directory(path)
        for path in layout.partial.iterdir():
            if re.fullmatch(DIGEST_PATTERN, path.name.removesuffix(".index")) is None:
                path.unlink()


def drop_partials(layout: StoreLayout, *, keep: Collection[Digest]) -> None:
    """Remove downloads that no wanted bundle needs any more.

    Raises:
        StoreError: The disk refused.
    """
    with disk_errors(f"cleaning {layout.partial}"):
        for path in layout.partial.iterdir():
            if path.name.removesuffix(".index") not in keep:
                path.unlink()


def is_installed(layout: StoreLayout, signed: SignedManifest, entries: Sequence[FileEntry]) -> bool:
    """Tell whether a bundle and these of its files are in the store, by manifest and sizes.

    Raises:
        TrustError: The store holds other content under this name and version.
        StoreError: The disk refused.
    """
    target = layout.bundle(signed.manifest.model, signed.manifest.semver)
    with disk_errors(f"reading {target}"):
        return _has_manifest(target, signed) and all(_has_size(target / e.path, e.size) for e in entries)


def install_bundle(
    layout: StoreLayout, signed: SignedManifest, entries: Sequence[FileEntry], *, progress: Callable[[], None]
) -> Path:
    """Make a bundle appear in the store.

    Args:
        layout: The store.
        signed: The bundle's manifest.
        entries: Its files that this machine can use; each is a blob of the store already.
        progress: Called now and then; hashing may take minutes.

    Returns:
        The bundle's directory.

    Raises:
        TrustError: The store holds other content under this name and version.
        DigestMismatchError: A blob is not what the manifest pins; it is removed, to be fetched again.
        DiskFullError: No space is left.
        StoreError: The disk refused otherwise.
    """
    target = layout.bundle(signed.manifest.model, signed.manifest.semver)
    stage = layout.staging / f"{signed.manifest.model}-{signed.digest}"
    with disk_errors(f"staging {target}"):
        shutil.rmtree(stage, ignore_errors=True)
        make_directory(stage)
        try:
            _link_files(layout, stage, entries)  # (1)
            _write_file(stage / MANIFEST_NAME, signed.data)
            _sync_tree(stage)  # (2)
            _verify(layout, stage, signed, entries, progress=progress)  # (3)
            if _has_manifest(target, signed):
                _complete(stage, target, entries)
            else:
                _publish(layout, stage, target)  # (4)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return target


def drop_damaged(
    layout: StoreLayout, signed: SignedManifest, entries: Sequence[FileEntry], *, progress: Callable[[], None]
) -> bool:
    """Hash the files of an installed bundle from disk, and remove those that the disk changed or lost, to be fetched again.

    Args:
        layout: The store.
        signed: The bundle's manifest.
        entries: Its files that are installed.
        progress: Called now and then; hashing may take minutes.

    Returns:
        True when something was removed.

    Raises:
        StoreError: The disk refused.
    """
    target = layout.bundle(signed.manifest.model, signed.manifest.semver)
    found_damage = False
    with disk_errors(f"checking {target}"):
        for entry in entries:
            if _digest_on_disk(target / entry.path, progress=progress) != entry.digest:
                # The blob is the same file by another name.
                (target / entry.path).unlink()
                layout.blob(entry.digest).unlink(missing_ok=True)
                found_damage = True
    return found_damage


def _digest_on_disk(path: Path, *, progress: Callable[[], None]) -> Digest | None:
    """Return the SHA-256 of a file; None where the disk has blocks of it that it cannot read any more."""
    try:
        return hash_from_disk(path, progress=progress)[0]
    except OSError as exc:
        if exc.errno == errno.EIO:
            return None
        raise


def hash_from_disk(path: Path, *, progress: Callable[[], None]) -> tuple[Digest, int]:
    """Return the SHA-256 and size of a file after dropping its pages from memory, so that the disk's answer is judged."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    return hash_file(path, progress=progress)


def _link_files(layout: StoreLayout, stage: Path, entries: Sequence[FileEntry]) -> None:
    for entry in entries:
        path = stage / entry.path
        make_directory(path.parent)
        path.hardlink_to(layout.blob(entry.digest))


def _write_file(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(FILE_MODE)


def _sync_tree(top: Path) -> None:
    for directory, _, names in os.walk(top, topdown=False):
        for name in names:
            sync_file(Path(directory, name))
        sync_directory(Path(directory))


def _verify(
    layout: StoreLayout,
    stage: Path,
    signed: SignedManifest,
    entries: Sequence[FileEntry],
    *,
    progress: Callable[[], None],
) -> None:
    if hash_from_disk(stage / MANIFEST_NAME, progress=progress)[0] != signed.digest:
        raise DigestMismatchError(f"the disk did not keep the manifest of {signed.manifest.name}")
    for entry in entries:
        if _digest_on_disk(stage / entry.path, progress=progress) != entry.digest:
            layout.blob(entry.digest).unlink(missing_ok=True)
            raise DigestMismatchError(
                f"{entry.path} of {signed.manifest.name} {signed.manifest.version} is not what was signed",
                hint="It is fetched again; if this repeats, check the disk's health.",
                digest=entry.sha256,
            )


def _has_manifest(target: Path, signed: SignedManifest) -> bool:
    """Tell whether this bundle is installed; a manifest that cannot be read counts as absent and is replaced.

    Raises:
        TrustError: Another manifest of the same name and version is installed.
    """
    try:
        data = read_limited(target / MANIFEST_NAME, max_bytes=MAX_MANIFEST_BYTES)
    except (FileNotFoundError, NotADirectoryError, StoreError):
        return False
    except OSError as exc:
        if exc.errno == errno.EIO:
            return False
        raise
    found = hash_bytes(data)
    if found == signed.digest:
        return True
    try:
        installed = parse_manifest(data, source=str(target))
    except ManifestError:
        return False
    name = f"{installed.name} {installed.version}"
    raise TrustError(
        f"{name} is installed with manifest {found}, the repository now offers {signed.digest}",
        hint="A version never changes content: publish the new content as a new version.",
        installed=found,
        offered=signed.digest,
    )


def _complete(stage: Path, target: Path, entries: Sequence[FileEntry]) -> None:
    """Add verified files to an installed bundle: this machine can use more of it than before, or the disk lost some."""
    for entry in entries:
        if not _has_size(target / entry.path, entry.size):
            make_directory((target / entry.path).parent)
            (stage / entry.path).replace(target / entry.path)
            sync_directory((target / entry.path).parent)


def _publish(layout: StoreLayout, stage: Path, target: Path) -> None:
    make_directory(target.parent)
    if target.exists():  # what is there cannot be read as a bundle; see _has_manifest
        damaged = layout.staging / f"{stage.name}.damaged"
        shutil.rmtree(damaged, ignore_errors=True)
        target.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    stage.rename(target)
    sync_directory(target.parent)


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except (FileNotFoundError, NotADirectoryError):
        return False
