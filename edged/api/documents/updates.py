"""What administrators tell the device about its models, ``/edged/v1/update`` and ``/edged/v1/history``: schema version 1. Pure.

The history itself, as it is told, is ``edged.store.history``.
"""

from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document
from edged.ids import MODEL_NAME_PATTERN, VERSION_PATTERN

HISTORY_PATH: Final = "/edged/v1/history"
ROLLBACK_PATH: Final = "/edged/v1/update/rollback"
APPLY_PATH: Final = "/edged/v1/update/apply"
DEFAULT_ENTRIES: Final = 50
"""Of a history, when nobody says how many."""
MOST_ENTRIES: Final = 1000

ModelKey = Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)]


class Rollback(Document, frozen=True, kw_only=True):
    """Turn the active version of a model down, and have the one before it answer again."""

    model: ModelKey
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    """For the device's history; the version is not tried again by itself."""


class Apply(Document, frozen=True, kw_only=True):
    """Let a model's candidate go on at once, whatever the quiet window says, and also if it was turned down."""

    model: ModelKey
    version: Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN, max_length=64)] | None = None
    """Only this one; without it, what the rollout names."""


class Switched(Document, frozen=True, kw_only=True):
    """What came of it: the version that answers from now on, or that is tried next."""

    schema: Literal[1] = 1
    model: str
    version: str
