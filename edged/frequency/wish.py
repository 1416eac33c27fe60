"""How fast processors should be at most, as the daemon wishes it: a document on a tmpfs that edged-frequency.path watches.

The daemon may write nothing but this; what it says is bounded here, by whoever reads it, whatever wrote it.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document, decode_json, encode_canonical
from edged.files import read_limited, replace_shown

LEAST_SHARE: Final = 0.2
"""Below that a device is not cooler, only slower: what idles draws as much."""
WHOLE: Final = 1.0
MAX_WISH_BYTES: Final = 256


class Wish(Document, frozen=True, kw_only=True):
    """The document."""

    schema: Literal[1] = 1
    share: Annotated[float, msgspec.Meta(ge=LEAST_SHARE, le=1)]
    """Of the highest frequency of each processor; 1 caps nothing."""


def read_wish(path: Path) -> Wish:
    """Read the wish; none caps nothing.

    Raises:
        DocumentError: It is none.
        StoreError: It is too large for one.
        OSError: It cannot be read.
    """
    try:
        data = read_limited(path, max_bytes=MAX_WISH_BYTES)
    except FileNotFoundError:
        return Wish(share=WHOLE)
    return decode_json(Wish, data, source=str(path))


def write_wish(path: Path, wish: Wish) -> None:
    """Replace the wish, by one rename.

    Raises:
        OSError: It cannot be written.
    """
    replace_shown(path, encode_canonical(wish))
