"""Gives a command the manifest of a bundle, whether it comes as a directory or packed, without looking at its other files."""

from pathlib import Path
from typing import Final

from edged.bundle.edgeb import read_manifest, read_packed_manifest
from edged.bundle.manifest import Manifest
from edged.errors import UsageError

BUNDLE: Final = "DIR|FILE.edgeb"


def manifest_of(bundle: Path) -> Manifest:
    """Read the manifest of a bundle.

    Raises:
        UsageError: There is no such file or directory.
        BundleError: It is no bundle.
        ManifestError: Its manifest does not follow the schema.
        OSError: It cannot be read.
    """
    if not bundle.exists():
        raise UsageError(f"there is no {bundle}", hint="Name a bundle directory or a .edgeb file.")
    return read_manifest(bundle)[1] if bundle.is_dir() else read_packed_manifest(bundle)
