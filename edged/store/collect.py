"""Garbage collection: remove from the store what no slot, no rollout and no download needs. Blocking; by the store's owner alone.

For each version that ``edged.store.collectable`` chooses:

(1) one rename takes the bundle out of ``bundles/``, into ``tmp/``
(2) the daemon's document is read again: a version that came into use meanwhile gets its name back (``edged.store.in_use``)
(3) both directories are fsynced, so that no power cut leaves the name without all of its files
(4) the files are unlinked; a power cut leaves the rest in ``tmp/``, which the next start removes

A blob is removed when no bundle has it as a file, and no download is about to make it one. Links are never followed.
"""

import logging
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged import journal
from edged.files import sync_directory
from edged.ids import DIGEST_PATTERN, MODEL_NAME_PATTERN, VERSION_PATTERN, Digest, ModelName, Version
from edged.store.collectable import plan_collection
from edged.store.disk import disk_errors
from edged.store.in_use import read_in_use
from edged.store.layout import StoreLayout

LOG = logging.getLogger(__name__)

_ONLY_BLOB: Final = 1
_BLOB_AND_BUNDLE: Final = 2
"""Names of a file that one bundle has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What a collection must leave alone.

    Args:
        in_use: The daemon's document.
        brought: Versions that the rollout brings to this device; for a model that is not listed, none.
        floors: The lowest version of each model that may be activated.
        blobs: Files of bundles that are on their way; None when not all are known, and then no lone blob is removed.
        keep_versions: As configured.
        reserve_bytes: Free disk that is wanted at any time.
    """

    in_use: Path
    brought: Mapping[ModelName, Collection[Version]]
    floors: Mapping[ModelName, Version]
    blobs: Collection[Digest] | None
    keep_versions: int
    reserve_bytes: int


def collect(
    layout: StoreLayout, keeping: Keeping, *, needed_bytes: int = 0, progress: Callable[[], None]
) -> list[tuple[ModelName, Version]]:
    """Remove what may go: always what is surplus, and what is spared while free disk is short.

    Args:
        layout: The store.
        keeping: What stays.
        needed_bytes: Of a download that is to fit beside the reserve.
        progress: Called with each version; unlinking large files may take seconds.

    Returns:
        The versions that are gone.

    Raises:
        StoreError: The disk refused.
    """
    with disk_errors(f"collecting garbage in {layout.root}"):
        if keeping.blobs is not None:
            _remove_blobs(layout, keep=keeping.blobs)
        in_use = read_in_use(keeping.in_use)
        if in_use is None:
            return []
        plan = plan_collection(
            installed_versions(layout),
            in_use=in_use,
            brought=keeping.brought,
            floors=keeping.floors,
            keep_versions=keeping.keep_versions,
        )
        gone: list[tuple[ModelName, Version]] = []
        for model, version in (*plan.surplus, *plan.spared):
            is_surplus = (model, version) in plan.surplus
            if not is_surplus and _free_bytes(layout) >= keeping.reserve_bytes + needed_bytes:
                break
            progress()
            if _remove_version(layout, keeping, model, version, why="surplus" if is_surplus else "disk"):
                gone.append((model, version))
        return gone


def installed_versions(layout: StoreLayout) -> dict[ModelName, list[Version]]:
    """Return the versions that have a name in the store; what is no name of a version is left out.

    Raises:
        OSError: The disk refused.
    """
    found: dict[ModelName, list[Version]] = {}
    for model in _directories(layout.bundles, MODEL_NAME_PATTERN):
        for version in _directories(layout.bundles / model, VERSION_PATTERN):
            found.setdefault(ModelName(model), []).append(Version.parse(version))
    return found


def _remove_version(layout: StoreLayout, keeping: Keeping, model: ModelName, version: Version, *, why: str) -> bool:
    """Take one version out of the store, by the steps above; False when it came into use."""
    bundle = layout.bundle(model, version)
    doomed = layout.staging / f"{model}-{version}.collected"
    shutil.rmtree(doomed, ignore_errors=True)
    bundle.rename(doomed)  # (1)
    in_use = read_in_use(keeping.in_use)  # (2)
    if in_use is None or version in in_use.get(model, ()):
        doomed.rename(bundle)
        return False
    for directory in (bundle.parent, doomed.parent):  # (3)
        sync_directory(directory)
    freed_bytes = sum(file.st_size for file in _files(doomed) if file.st_nlink <= _BLOB_AND_BUNDLE)
    shutil.rmtree(doomed)  # (4)
    if keeping.blobs is not None:
        _remove_blobs(layout, keep=keeping.blobs)
    journal.event(LOG, journal.VERSION_COLLECTED, model=model, version=version, reason=why, freed_bytes=freed_bytes)
    return True


def _remove_blobs(layout: StoreLayout, *, keep: Collection[Digest]) -> None:
    for directory in _directories(layout.blobs, r"^[0-9a-f]{2}$"):
        for path in (layout.blobs / directory).iterdir():
            if (
                re.fullmatch(DIGEST_PATTERN, path.name)
                and path.name not in keep
                and path.lstat().st_nlink == _ONLY_BLOB
            ):
                path.unlink()


def _free_bytes(layout: StoreLayout) -> int:
    return shutil.disk_usage(layout.root).free


def _directories(parent: Path, pattern: str) -> list[str]:
    """Return the names of real directories, in order, that are as they should be."""
    with os.scandir(parent) as entries:
        return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and re.fullmatch(pattern, e.name))


def _files(top: Path) -> Iterator[os.stat_result]:
    for directory, _, names in os.walk(top):
        for name in names:
            yield Path(directory, name).lstat()
