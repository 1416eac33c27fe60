"""The updater's status document, for the daemon and for people: written whole, by one rename, on a tmpfs (so nothing is fsynced)."""

from pathlib import Path
from typing import Final

from edged.codec import decode_json, encode_canonical
from edged.files import read_limited, replace_shown
from edged.update.protocol.phases import UpdateStatus

MAX_STATUS_BYTES: Final = 1 << 16


def write_status(path: Path, status: UpdateStatus) -> None:
    """Replace the status document.

    Raises:
        OSError: It cannot be written.
    """
    replace_shown(path, encode_canonical(status))


def read_status(path: Path) -> UpdateStatus | None:
    """Read the status document; None when the updater has not written any since boot.

    Raises:
        DocumentError: It is not a status document.
        OSError: It cannot be read.
    """
    try:
        data = read_limited(path, max_bytes=MAX_STATUS_BYTES)
    except FileNotFoundError:
        return None
    return decode_json(UpdateStatus, data, source=str(path))
