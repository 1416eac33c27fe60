"""The files of a bundle as the repository holds them: blobs named by their digest, and the chunk indexes of the larger ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edged.bundle.manifest import CHUNK_BYTES, ChunkIndex, FileEntry, Manifest
from edged.codec import encode_canonical
from edged.errors import BundleError
from edged.files import hash_bytes
from edged.ids import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a file's bytes are: digest, size and, above one chunk, the chunk index document."""

    digest: Digest
    size: int
    index: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One file to publish."""

    source: Path
    content: Content


def blob_path(digest: Digest) -> str:
    """Return where the repository holds a blob."""
    return f"blobs/{digest[:2]}/{digest}"


def index_path(digest: Digest) -> str:
    """Return where the repository holds the chunk index of a blob."""
    return f"index/{digest}"


def read_content(path: Path) -> Content:
    """Hash a file, whole and by chunk, in one pass and bounded memory.

    Raises:
        OSError: It cannot be read.
    """
    whole = hashlib.sha256()
    chunks: list[str] = []
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            whole.update(chunk)
            chunks.append(hash_bytes(chunk))
            size += len(chunk)
    index = None
    if size > CHUNK_BYTES:
        index = encode_canonical(ChunkIndex(schema=1, chunk_bytes=CHUNK_BYTES, size=size, sha256=tuple(chunks)))
    return Content(digest=Digest(whole.hexdigest()), size=size, index=index)


def read_blobs(directory: Path, manifest: Manifest) -> Sequence[Blob]:
    """Read every file a manifest names and make sure that each is the one it pins, chunk index included.

    Raises:
        BundleError: Files are missing or differ; every one of them is named.
    """
    blobs = []
    problems = []
    for entry in manifest.files_for(manifest.variants):
        source = directory / entry.path
        try:
            content = read_content(source)
        except OSError as exc:
            problems.append(f"{entry.path}: {exc.strerror}")
            continue
        if reason := _mismatch(entry, content):
            problems.append(f"{entry.path}: {reason}")
        blobs.append(Blob(source=source, content=content))
    if problems:
        hint = "The manifest was made from other files; build the bundle again."
        raise BundleError(f"{directory} is not what its manifest says: {'; '.join(problems)}", hint=hint)
    return blobs


def _mismatch(entry: FileEntry, content: Content) -> str:
    if entry.size != content.size:
        return f"has {content.size} bytes, the manifest says {entry.size}"
    if entry.digest != content.digest:
        return f"has SHA-256 {content.digest}, the manifest says {entry.sha256}"
    if content.index is not None and entry.index != hash_bytes(content.index):
        return "its chunk index is not the one the manifest pins"
    return ""
