"""What came over the network on each of the last days, by model, in ``spent.json`` of the store: for people, and without any effect.

Whoever brings a bundle adds to it once it has the bundle, or as much of it as came; a process that is killed forgets what it had under way.
What belongs to no bundle is under the empty name. Days are those of UTC, ``KEPT_DAYS`` of them.
"""

import logging
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document, decode_json, encode_canonical
from edged.errors import EdgedError
from edged.files import read_limited, replace_durably

LOG = logging.getLogger(__name__)

KEPT_DAYS: Final = 30
MOST_MODELS: Final = 256
MAX_SPENT_BYTES: Final = 4 << 20

Bytes = Annotated[int, msgspec.Meta(ge=0)]


class SpentDocument(Document, frozen=True, kw_only=True):
    """The document: bytes by day and by model."""

    schema: Literal[1] = 1
    days: dict[str, dict[str, Bytes]] = msgspec.field(default_factory=dict)


def read_spent(path: Path) -> SpentDocument:
    """Read the document; an empty one where there is none that could be read."""
    try:
        return decode_json(SpentDocument, read_limited(path, max_bytes=MAX_SPENT_BYTES), source=str(path))
    except FileNotFoundError:
        return SpentDocument()
    except (EdgedError, OSError) as exc:
        LOG.warning("what was fetched on the last days is forgotten: %s", exc)
        return SpentDocument()


def add_spent(path: Path, *, date: str, model: str, size: int) -> None:
    """Add bytes to a day; a disk that refuses is only worth a line in the journal.

    Args:
        path: Of the document.
        date: Of the day, as ``2026-11-23``.
        model: Empty for what belongs to no bundle.
        size: How many.
    """
    if size <= 0:
        return
    try:
        replace_durably(path, encode_canonical(with_bytes(read_spent(path), date=date, model=model, size=size)))
    except OSError as exc:
        LOG.warning("what was fetched today cannot be kept: %s", exc)


def with_bytes(document: SpentDocument, *, date: str, model: str, size: int) -> SpentDocument:
    """Add bytes to a day. Pure."""
    day = document.days.get(date, {})
    name = model if model in day or len(day) < MOST_MODELS else ""
    days = {**document.days, date: {**day, name: day.get(name, 0) + size}}
    kept = sorted(days)[-KEPT_DAYS:]
    return SpentDocument(days={name: days[name] for name in kept})
