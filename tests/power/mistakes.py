"""Mistakes that programs like this one are made with, each put into the real modules, and what a device loses by it.

Each of them takes effect only when the power goes at a bad moment: the proof has to find them all.
"""

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

from edged import files
from edged.bundle import read
from edged.store import collect, disk, install, state
from edged.update.download import download
from tests.power import driver

MISTAKES: dict[str, tuple[Callable[[], None], str]] = {}
"""By name; with it, a regular expression for what is wrong then."""


def loses(what: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Add a mistake to the list."""

    def add(mistake: Callable[[], None]) -> Callable[[], None]:
        MISTAKES[mistake.__name__] = (mistake, what)
        return mistake

    return add


@loses(r"rollout\.json: ")
def documents_are_not_synced() -> None:
    """A document gets its name before its bytes are on the disk."""
    _sync_only(lambda path: "/ops/" not in path)


@loses(r"demo/1\.1\.0: .*(manifest|model\.onnx|kit\.json|sbom\.json)")
def files_of_bundles_are_not_synced() -> None:
    """A bundle gets its name before the bytes of its files are on the disk."""
    _sync_only(lambda path: not any(part in path for part in ("/partial/", "/tmp/", "/bundles/", "/blobs/")))


@loses(r"demo/1\.1\.0: .*(No such file|missing)")
def directories_are_not_synced() -> None:
    """The bytes are on the disk, and the names that lead to them need not be."""
    for module in (files, read, install, disk, download):
        module.sync_directory = lambda _path: None


@loses(r"names 1\.1\.0, which is not in the store")
def names_of_bundles_are_not_synced() -> None:
    """A bundle is whole, and its name need not be on the disk when a slot names it."""
    driver.keep_bundle = lambda _bundle, *, top: None
    real = install.sync_directory
    install.sync_directory = lambda path: None if path.parent.name == "bundles" else real(path)


@loses(r"demo/1\.1\.0: ")
def flip_before_data() -> None:
    """A bundle gets its name first, and is made durable after that."""
    publish, sync_tree = install._publish, install._sync_tree
    install._sync_tree = lambda _top: None
    install._verify = lambda *_arguments, **_options: None

    def publish_at_once(layout, stage, target):
        publish(layout, stage, target)
        sync_tree(target)

    install._publish = publish_at_once


@loses(r"rollout\.json: ")
def unlink_then_link() -> None:
    """The old file is removed before the new one has its name."""
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if not target.exists():
            return rename(self, target)
        target.unlink()
        target.hardlink_to(self)
        self.unlink()
        return target

    Path.replace = replace


@loses(r"names 0\.9\.0, which is not in the store|state\.db: it counts as damaged")
def state_is_not_synced() -> None:
    """A commit need not be on the disk: slots from before name what was removed since, or the database is torn."""
    real = state.prepare

    def prepare(connection: sqlite3.Connection, path: Path) -> None:
        real(connection, path)
        connection.execute("PRAGMA synchronous = OFF")

    state.prepare = prepare


@loses(r"demo/0\.\d\.0: ")
def collected_in_place() -> None:
    """Files of a bundle are removed while it may still have its name."""
    collect.sync_directory = lambda _path: None


def _sync_only(is_synced: Callable[[str], bool]) -> None:
    """Sync directories, and of files those whose path is one of some."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) or is_synced(path):
            real(descriptor)

    os.fsync = fsync
