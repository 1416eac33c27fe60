"""What one publish adds to a repository: a bundle's files as blobs, its manifest as a target.

A bundle comes as a directory or packed as one file. A packed one is unpacked beside the repository, where the blobs will need as much
room anyway (the file itself may be on a stick that nobody can write to), and removed afterwards; whoever calls holds the tree for long
work, so what a killed publisher left unpacked can only be its own, and goes away with the next publish.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edged.bundle.edgeb import read_manifest, read_packed_manifest, unpack
from edged.bundle.manifest import Manifest
from edged.errors import BundleError, UnsafeModelError
from edged.files import hash_bytes
from edged.onnx.safety import check_model
from edged.publish.fleet.floor import published_versions
from edged.publish.repository.blobs import Blob, blob_path, index_path
from edged.publish.repository.roles import manifest_path, model_role
from edged.publish.repository.state import State
from edged.publish.repository.tree import Tree

LARGE_BYTES: Final = 16_000_000
"""From this size on a file gets a line of its own while it is copied, and another after each tenth, though not more often than this."""

_BYTES_PER_MB: Final = 1_000_000


def peek_manifest(bundle: Path) -> Manifest:
    """Read the manifest of a bundle, directory or file, without looking at the rest.

    Raises:
        BundleError: It is no bundle.
        ManifestError: Its manifest does not follow the schema.
        OSError: It cannot be read.
    """
    return read_packed_manifest(bundle) if bundle.is_file() else read_manifest(bundle)[1]


def check_models(directory: Path, manifest: Manifest) -> None:
    """Check that no ONNX file of a bundle asks for what devices refuse, whoever built it.

    Raises:
        UnsafeModelError: One does.
        OSError: A file cannot be read.
    """
    files = [variant.model_file for variant in manifest.variants if variant.format == "onnx"]
    files += [entry for entry in manifest.files if entry.role == "graph"]
    for path in dict.fromkeys(entry.path for entry in files):
        try:
            check_model((directory / path).read_bytes())
        except UnsafeModelError as exc:
            raise UnsafeModelError(f"{path}: {exc.message}", hint=exc.hint, **exc.facts) from exc


@contextmanager
def opened_bundle(bundle: Path, repository: Path) -> Iterator[Path]:
    """Give the directory of a bundle, for as long as the context lasts when it had to be unpacked.

    Args:
        bundle: A bundle directory, or a packed bundle.
        repository: Held by the caller for long work; a packed bundle is unpacked beside it.

    Raises:
        BundleError: The file is not a packed bundle.
        DigestMismatchError: A file in it is not the one its manifest pins.
        OSError: It cannot be read, or the disk refused.
    """
    place = repository.resolve()
    staging = place.with_name(f".{place.name}.unpacked")
    shutil.rmtree(staging, ignore_errors=True)
    if not bundle.is_file():
        yield bundle
        return
    staging.mkdir(mode=0o700)
    try:
        unpack(bundle, staging / "bundle")
        yield staging / "bundle"
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_version(state: State, manifest: Manifest, data: bytes, *, allow_lower: bool) -> None:
    """Make sure that a version may be published.

    Args:
        state: What is published now.
        manifest: Of the bundle.
        data: Its bytes.
        allow_lower: Let the version be lower than the highest one published.

    Raises:
        BundleError: This version is published with other content, or it is lower than a published one.
    """
    role = state.targets.get(model_role(manifest.model))
    if role is None:
        return
    known = role.targets.get(manifest_path(manifest.model, manifest.version))
    if known is not None and known.hashes["sha256"] != hash_bytes(data):
        hint = "A published version never changes; give the bundle a higher version."
        raise BundleError(f"{manifest.name} {manifest.version} is published with other content", hint=hint)
    highest = max(published_versions(role), default=manifest.semver)
    if manifest.semver < highest and not allow_lower:
        hint = "Give the bundle a higher version, or pass --allow-lower to go back on purpose."
        raise BundleError(f"{manifest.name} {manifest.version} is lower than {highest}, which is published", hint=hint)


def copy_blobs(tree: Tree, blobs: Sequence[Blob], directory: Path, report: Callable[[str], None]) -> None:
    """Copy a bundle's files into the tree, then their chunk indexes; what is there already is not copied again.

    Args:
        tree: Where to.
        blobs: What ``read_blobs`` found in ``directory``.
        directory: The bundle's.
        report: Told about the large files one by one, and about all of them in the end.
    """
    copied = [blob for blob in blobs if _copy(tree, blob, directory, report)]
    total = sum(blob.content.size for blob in copied)
    report(f"copy {len(copied)} of {len(blobs)} files ({total} bytes)")
    for blob in blobs:
        if blob.content.index is not None:
            tree.add(index_path(blob.content.digest), blob.content.index)


def _copy(tree: Tree, blob: Blob, directory: Path, report: Callable[[str], None]) -> bool:
    path, size = blob_path(blob.content.digest), blob.content.size
    if size < LARGE_BYTES:
        return tree.add_copy(path, blob.source, blob.content.digest)
    name = blob.source.relative_to(directory)
    step = max(LARGE_BYTES, size // 10)
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        if done == 0 or done // step != (done + count) // step:
            report(f"copy {name}: {(done + count) // _BYTES_PER_MB} of {size // _BYTES_PER_MB} MB")
        done += count

    return tree.add_copy(path, blob.source, blob.content.digest, progress=progress)
