"""Which versions of models the daemon uses, told to the updater, which removes none of them from the store.

The two share no lock, and neither waits for the other. What keeps them from meeting is the order of what each does:

- The daemon writes the document before it puts a version into a slot, and only then looks for that version in the store.
- The updater takes a version's name away, reads the document after that, and gives the name back when the version is in it.

So whichever comes first, either the daemon does not find the version, as if it had not arrived yet, or the updater sees that it is used.

The document lies below ``/run`` and is gone after a boot; without one the updater removes nothing.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document, decode_json, encode_canonical
from edged.errors import EdgedError, StoreError
from edged.files import read_limited, replace_durably
from edged.ids import MODEL_NAME_PATTERN, VERSION_PATTERN, ModelName, Version
from edged.store.slots import Slots

LOG = logging.getLogger(__name__)

MAX_IN_USE_BYTES: Final = 1 << 20

VersionsInUse = Mapping[ModelName, frozenset[Version]]


class InUse(Document, frozen=True, kw_only=True):
    """``in-use.json``, written by the daemon."""

    schema: Literal[1] = 1
    models: dict[
        Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)],
        tuple[Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN)], ...],
    ]
    """The versions that the slots of each model name, in whatever state the slot is."""


def versions_in(models: Mapping[ModelName, Slots]) -> VersionsInUse:
    """Return the versions that slots name: the active one, the fallback, a candidate, and what was turned down last."""
    named = {model: frozenset(_named(slots)) for model, slots in models.items()}
    return {model: versions for model, versions in named.items() if versions}


def write_in_use(path: Path, versions: VersionsInUse) -> bool:
    """Replace the document.

    Where it cannot be written, it is removed: without one nothing is collected, and that is safe, too.

    Returns:
        Whether there is a document now.

    Raises:
        StoreError: It can be neither written nor removed, and does not say what is used.
    """
    models = {str(model): tuple(sorted(map(str, found))) for model, found in versions.items()}
    try:
        replace_durably(path, encode_canonical(InUse(models=models)))
    except OSError as exc:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            raise StoreError(f"{path} cannot be written: {exc.strerror}", hint="Check who owns its directory.") from exc
        return False
    return True


class InUseFile:
    """Keeps the document true while slots move; from any thread, one move of a model at a time.

    Args:
        path: The document.
        models: The slots of every model as they are; the document says so when this is made, if it can be written.
    """

    def __init__(self, path: Path, models: Mapping[ModelName, Slots]) -> None:
        self._path = path
        self._settled = dict(versions_in(models))
        self._coming: dict[ModelName, frozenset[Version]] = {}
        self._lock = Lock()
        self._written: VersionsInUse | None = None
        """What the document says; None when that is not known, or there is none."""
        self._write_if_possible()

    def begin(self, model: ModelName, slots: Slots) -> None:
        """Take note that a model's slots are about to become these; what they name is in the document when this returns.

        Raises:
            StoreError: As ``write_in_use``; the slots must not be moved.
        """
        with self._lock:
            self._coming[model] = frozenset(_named(slots))
            self._write()

    def end(self, model: ModelName, slots: Slots) -> None:
        """Take note that a model's slots are these now: moved, or left as they were because the move failed."""
        with self._lock:
            self._coming.pop(model, None)
            self._settled[model] = frozenset(_named(slots))
            self._write_if_possible()

    def _write_if_possible(self) -> None:
        try:
            self._write()
        except StoreError as exc:
            # An older one says what slots named before they lost it, which is more than what is used: nothing is lost by it.
            LOG.warning("%s", exc)

    def _write(self) -> None:
        none = frozenset[Version]()
        models = self._settled.keys() | self._coming.keys()
        versions = {model: self._settled.get(model, none) | self._coming.get(model, none) for model in models}
        if versions != self._written:
            self._written = None
            self._written = versions if write_in_use(self._path, versions) else None


def read_in_use(path: Path) -> VersionsInUse | None:
    """Return what the document says; None when there is none, or none that can be read."""
    try:
        document = decode_json(InUse, read_limited(path, max_bytes=MAX_IN_USE_BYTES), source=str(path))
    except (EdgedError, OSError):
        return None
    return {ModelName(model): frozenset(map(Version.parse, found)) for model, found in document.models.items()}


def _named(slots: Slots) -> Iterable[Version]:
    return (slot.content.version for slot in (slots.a, slots.b) if slot.content is not None)
