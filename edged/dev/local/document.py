"""What names a developer's models to their daemon: one document of the directory, written by the supervising process."""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document, decode_json, encode_readable
from edged.files import read_limited, replace_shown
from edged.ids import MODEL_NAME_PATTERN, VERSION_PATTERN

NAME: Final = "_models.json"
"""Beside it are files that begin with a model's name, which none begins like this."""
MAX_BYTES: Final = 1 << 20


class LocalModel(Document, frozen=True, kw_only=True):
    """One model."""

    version: Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN)]
    source: str
    """The file that it was made of, for people."""


class LocalModels(Document, frozen=True, kw_only=True):
    """All of them, by name."""

    schema: Literal[1] = 1
    models: dict[Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)], LocalModel]


def write_models(path: Path, models: LocalModels) -> None:
    """Replace the document.

    Raises:
        OSError: It cannot be written.
    """
    replace_shown(path, encode_readable(models))


def read_models(path: Path) -> LocalModels:
    """Read the document.

    Raises:
        OSError: It cannot be read.
        StoreError: It is too large.
        DocumentError: It is none.
    """
    return decode_json(LocalModels, read_limited(path, max_bytes=MAX_BYTES), source=str(path))
