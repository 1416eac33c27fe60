"""What the gate says about the network it uses, as a document for the daemon and for people. Pure, but for reading the file.

The gate writes it (``edged.egress.observer``), the daemon reads it. What is not known is None, with the reason, and stands
for nothing good.
"""

from pathlib import Path
from typing import Final, Literal

from edged.codec import Document, decode_json
from edged.files import read_limited
from edged.sense.context import Link

MAX_LINK_BYTES: Final = 4096


class LinkReport(Document, frozen=True, kw_only=True):
    """``link.json`` of the gate."""

    schema: Literal[1] = 1
    link: Link | None
    """``offline`` where no route leads away from this device; None where the kernel's routes cannot be read."""
    reason: str = ""
    """Why ``link`` is not known; empty where it is."""
    interface: str = ""
    """The name of the interface that the link is judged by; empty while offline."""
    metered: bool | None = None
    """As the administrator says (``egress.metered``)."""
    round_trip_s: float | None = None
    """How long connections took to be made, smoothed; None until one was made over this link."""
    since_unix_s: float
    """Since when link and interface are as they are, by the wall clock."""


def read_link_report(path: Path) -> LinkReport | None:
    """Read what the gate wrote last; None when it has not written anything since boot.

    Raises:
        DocumentError: It is no such document.
        StoreError: It is too large for one.
        OSError: It cannot be read.
    """
    try:
        data = read_limited(path, max_bytes=MAX_LINK_BYTES)
    except FileNotFoundError:
        return None
    return decode_json(LinkReport, data, source=str(path))
