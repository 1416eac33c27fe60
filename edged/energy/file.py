"""The book of the last days on the disk; one that cannot be read is begun anew, because nothing depends on it."""

import logging
from pathlib import Path
from typing import Final

from edged.codec import decode_json, encode_canonical
from edged.energy.days import Book
from edged.errors import EdgedError
from edged.files import read_limited, replace_durably

LOG = logging.getLogger(__name__)

MAX_BOOK_BYTES: Final = 8 << 20


def read_book(path: Path) -> Book:
    """Read the book; an empty one where there is none."""
    try:
        return decode_json(Book, read_limited(path, max_bytes=MAX_BOOK_BYTES), source=str(path))
    except FileNotFoundError:
        return Book()
    except (EdgedError, OSError) as exc:
        LOG.warning("what models cost on the last days is forgotten: %s", exc)
        return Book()


def write_book(path: Path, book: Book) -> None:
    """Write the book, durably; a disk that refuses is only worth a line in the journal."""
    try:
        replace_durably(path, encode_canonical(book), mode=0o600)
    except OSError as exc:
        LOG.warning("what models cost today cannot be kept: %s", exc)
