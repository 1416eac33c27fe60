"""Gives a command a bundle of which every file is what the manifest says, whether it comes as a directory or packed."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edged.bundle.edgeb import read_manifest, unpack
from edged.bundle.manifest import Manifest
from edged.errors import UsageError
from edged.publish.repository.blobs import read_blobs


@contextmanager
def opened(bundle: Path) -> Iterator[tuple[Path, Manifest]]:
    """Give the directory and the manifest of a bundle; a packed one is unpacked for as long as the context lasts.

    Raises:
        UsageError: There is nothing of this name.
        BundleError: It is no bundle, or a file is not the one its manifest pins.
        ManifestError: Its manifest does not follow the schema.
        OSError: It cannot be read or unpacked.
    """
    if not bundle.exists():
        raise UsageError(f"there is no {bundle}", hint="Name a bundle directory or a .edgeb file.")
    if bundle.is_file():
        with tempfile.TemporaryDirectory(prefix="edge-publish-") as temporary:
            directory = Path(temporary) / "bundle"
            yield directory, unpack(bundle, directory)
    else:
        _, manifest = read_manifest(bundle)
        read_blobs(bundle, manifest)
        yield bundle, manifest
