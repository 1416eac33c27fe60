"""Read a bundle directory back from disk.

``read_bundle`` checks what is cheap: the manifest, and that the files which are there have the signed sizes. ``verify_files`` hashes
them; only what it returns hands out paths to load from. ``keep_bundle`` makes sure that a power cut leaves them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edged.bundle.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, FileEntry, Manifest, Variant
from edged.bundle.parse import parse_manifest
from edged.errors import DigestMismatchError, StoreError
from edged.files import hash_bytes, hash_file, read_limited, sync_directory, sync_file
from edged.ids import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledBundle:
    """A bundle on disk whose manifest was read; the bytes of its other files are not verified."""

    manifest: Manifest
    digest: Digest
    """SHA-256 of the manifest: the identity of the bundle."""
    directory: Path
    variants: tuple[Variant, ...]
    """The variants whose files are all here; a device keeps only those it can use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFiles:
    """Files of a bundle that were hashed from disk and are what the manifest pins."""

    bundle: InstalledBundle
    paths: Mapping[str, Path]
    """Where each verified file lies, by its path in the manifest."""


def read_bundle(directory: Path) -> InstalledBundle:
    """Read a bundle's manifest and check that its files are there with their sizes.

    Raises:
        FileNotFoundError: There is no such bundle.
        ManifestError: The manifest does not follow its schema.
        StoreError: A shared file is missing, a file has the wrong size, or no variant is complete.
        OSError: The disk refused.
    """
    data = read_limited(directory / MANIFEST_NAME, max_bytes=MAX_MANIFEST_BYTES)
    manifest = parse_manifest(data, source=str(directory / MANIFEST_NAME))
    sizes = {entry.path: _size(directory / entry.path) for entry in manifest.files_for(manifest.variants)}
    variants = tuple(v for v in manifest.variants if all(sizes[entry.path] is not None for entry in v.files))
    for entry in manifest.files_for(variants):
        if sizes[entry.path] != entry.size:
            found = "missing" if sizes[entry.path] is None else f"{sizes[entry.path]} bytes, not {entry.size}"
            raise StoreError(f"{directory / entry.path}: {found}", hint="The updater mends the store at its next poll.")
    if not variants:
        raise StoreError(f"{directory} holds no complete variant", hint="The updater mends the store at its next poll.")
    return InstalledBundle(manifest=manifest, digest=hash_bytes(data), directory=directory, variants=variants)


def verify_files(
    bundle: InstalledBundle, entries: Sequence[FileEntry], *, progress: Callable[[], None] | None = None
) -> VerifiedFiles:
    """Hash files of a bundle from disk.

    Args:
        bundle: Where they are.
        entries: Entries of its manifest.
        progress: Called now and then; hashing may take minutes.

    Raises:
        DigestMismatchError: A file is not what the manifest pins.
        OSError: A file cannot be read.
    """
    paths: dict[str, Path] = {}
    for entry in entries:
        path = bundle.directory / entry.path
        found, _ = hash_file(path, progress=progress)
        if found != entry.digest:
            raise DigestMismatchError(
                f"{path} has SHA-256 {found}, signed was {entry.sha256}",
                hint="The disk changed the file; check its health.",
                path=str(path),
            )
        paths[entry.path] = path
    return VerifiedFiles(bundle=bundle, paths=paths)


def keep_bundle(bundle: InstalledBundle, *, top: Path) -> None:
    """Make a bundle durable by whoever is about to rely on it, with all of its files and every name on the way to it.

    The updater does so, too. But between the moment in which a bundle appears and the one in which its name is durable, the daemon may
    have found it, or the updater may have been ended.

    Args:
        bundle: The bundle; that its files can be read is enough.
        top: The store's root, whose own name is durable.

    Raises:
        OSError: The disk refused.
    """
    for directory, _, names in os.walk(bundle.directory):
        for name in names:
            sync_file(Path(directory, name))
        sync_directory(Path(directory))
    for parent in bundle.directory.parents:
        if not parent.is_relative_to(top):
            break
        sync_directory(parent)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
