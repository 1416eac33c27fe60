"""Where the bundles of a developer's models are: in the store of their directory, as the updater would have put them there.

A bundle appears by one rename, and the daemon hashes every file before it uses it. Old local versions are removed here, because an updater
without a repository removes nothing: of each model stay those that a slot names, and the newest.
"""

import shutil
from pathlib import Path
from typing import Final

from edged.bundle.manifest import Manifest
from edged.bundle.read import read_bundle
from edged.dev.local.versions import newest, number_of
from edged.errors import EdgedError
from edged.ids import ModelName, Version
from edged.store.collect import installed_versions
from edged.store.in_use import read_in_use
from edged.store.layout import StoreLayout

_FILE_MODE: Final = 0o444


def versions_of(layout: StoreLayout, model: ModelName) -> list[Version]:
    """Return the versions of a model in the store.

    Raises:
        OSError: It cannot be read.
    """
    layout.bundles.mkdir(parents=True, exist_ok=True)
    return installed_versions(layout).get(model, [])


def newest_manifest(layout: StoreLayout, model: ModelName) -> Manifest | None:
    """Return the manifest of the local version that was made last; None without one that can be read.

    Raises:
        OSError: The store cannot be read.
    """
    version = newest(versions_of(layout, model))
    if version is None:
        return None
    try:
        return read_bundle(layout.bundle(model, version)).manifest
    except (EdgedError, FileNotFoundError):
        return None  # an earlier edged's, or half removed


def put(directory: Path, layout: StoreLayout, manifest: Manifest) -> Path:
    """Have a bundle's directory appear in the store; returns where.

    Raises:
        OSError: The disk refused.
    """
    for path in directory.rglob("*"):
        if path.is_file():
            path.chmod(_FILE_MODE)
    target = layout.bundle(manifest.model, manifest.semver)
    target.parent.mkdir(parents=True, exist_ok=True)
    directory.rename(target)
    return target


def remove_old(layout: StoreLayout, model: ModelName, *, in_use: Path) -> None:
    """Remove the local versions that nothing needs; none while nobody says which are used.

    Raises:
        OSError: The disk refused.
    """
    versions = versions_of(layout, model)
    used = read_in_use(in_use)
    if used is None:
        return
    for version in versions:
        if number_of(version) is not None and version != newest(versions) and version not in used.get(model, ()):
            # An updater with a repository may be about to do the same.
            shutil.rmtree(layout.bundle(model, version), ignore_errors=True)
