"""The models that a developer names, ``NAME=FILE``, and the files that they are made of."""

import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.bundle.edgeb import SUFFIX, pack
from edged.bundle.manifest import MANIFEST_NAME
from edged.codec import decode_json
from edged.errors import EdgedError, UsageError
from edged.files import read_limited
from edged.ids import MODEL_NAME_PATTERN, ModelName
from edged.ops.rollout import MAX_ROLLOUT_BYTES, Rollout
from edged.store.layout import StoreLayout

Stamp = tuple[int, int, int] | None
"""Inode, size and nanoseconds of the last change; None where there is no file at the moment."""
_HINT: Final = (
    "Name an ONNX file, or a bundle as edge-publish bundle build makes it: its directory, or NAME-VERSION.edgeb."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One model."""

    name: ModelName
    source: Path
    """An ONNX file, a packed bundle, or the directory of a bundle; absolute."""

    @property
    def document(self) -> Path:
        """The file that changes when the model does: of a bundle, what pins all others."""
        return self.source / MANIFEST_NAME if self.source.is_dir() else self.source

    def stamp(self) -> Stamp:
        """Return what tells one content from another without reading it."""
        try:
            status = self.document.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def copy_to(self, place: Path) -> Path:
        """Copy the model into one file, so that it can be read by others and does not change any more; return that.

        Raises:
            UsageError: It cannot be read.
            BundleError: It is the directory of a bundle, and not what that says.
        """
        is_bundle = self.source.is_dir() or self.source.suffix == SUFFIX
        copy = place / f"{self.name}{SUFFIX if is_bundle else '.onnx'}"
        try:
            if self.source.is_dir():
                pack(self.source, copy)
            else:
                shutil.copyfile(self.source, copy)
        except OSError as exc:
            raise UsageError(f"cannot copy {exc.filename or self.source}: {exc.strerror or exc}", hint=_HINT) from exc
        return copy


def read_wanted(given: Sequence[tuple[str, str]], *, layout: StoreLayout) -> Sequence[Wanted]:
    """Check what a developer wants.

    Args:
        given: Names with their files.
        layout: The store of the directory, which may know models of a repository from earlier runs.

    Raises:
        UsageError: A name cannot be one, is there twice or taken, or a file cannot be one of a model.
    """
    found: dict[str, Wanted] = {}
    taken = _names_of_repository(layout) if given else set()
    for name, file in given:
        if not re.fullmatch(MODEL_NAME_PATTERN, name):
            raise UsageError(
                f"{name!r} cannot be a model's name",
                hint="Use lower-case letters, digits, dots, dashes and underscores, at most 63, the first a letter or digit.",
            )
        if name in found:
            raise UsageError(f"--model names {name} twice", hint="Give each model a name of its own.")
        if name in taken:
            raise UsageError(
                f"the repository that this directory follows has a model {name}",
                hint=f"Give yours another name, such as {name}-local, or use another --dir without --repository.",
            )
        # Not resolved: a link to the newest of several files may be made to point to another one.
        source = Path(file).absolute()
        _check(source)
        found[name] = Wanted(name=ModelName(name), source=source)
    return tuple(found.values())


def _names_of_repository(layout: StoreLayout) -> Collection[str]:
    """Return the names of models that the last rollout had, as far as that can be read."""
    try:
        data = read_limited(layout.rollout, max_bytes=MAX_ROLLOUT_BYTES)
        return decode_json(Rollout, data, source=str(layout.rollout)).models.keys()
    except (EdgedError, OSError):
        return ()


def _check(source: Path) -> None:
    if source.suffix == ".toml":
        raise UsageError(
            f"{source} is a recipe",
            hint=f"Build it (edge-publish bundle build {source.name} --out build), and name build/NAME-VERSION.",
        )
    document = source / MANIFEST_NAME if source.is_dir() else source
    if source.is_dir() and not document.is_file():
        raise UsageError(f"{source} is no bundle: it has no {MANIFEST_NAME}", hint=_HINT)
    if document.exists() and not document.is_file():
        raise UsageError(f"{source} is no file", hint=_HINT)
    try:
        with document.open("rb"):
            pass
    except OSError as exc:
        raise UsageError(f"cannot read {source}: {exc.strerror}", hint=_HINT) from exc
