"""What edged-presence says, as a document on a tmpfs for the daemon: seconds, and neither names nor numbers of anybody.

It is dated, because a process that hangs or was killed cannot take back that somebody is there. Both ends use CLOCK_MONOTONIC, which is
the same for all processes of a machine and does not run while it sleeps.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document, decode_json, encode_canonical
from edged.files import read_limited, replace_shown

MAX_REPORT_BYTES: Final = 1024
LOOK_EVERY_S: Final = 20.0
"""How often edged-presence looks, and writes, at least. Terminals tell nobody that they were read from; desktops tell at once."""
STALE_AFTER_S: Final = 3 * LOOK_EVERY_S
"""A report that is older says nothing any more."""


class PresenceReport(Document, frozen=True, kw_only=True):
    """``presence.json``."""

    schema: Literal[1] = 1
    looked_s: Annotated[float, msgspec.Meta(ge=0)]
    """When this was so; CLOCK_MONOTONIC."""
    idle_s: Annotated[float, msgspec.Meta(ge=0)] | None
    """For how long nobody had been seen then; 0 while somebody is there, None where nothing tells of anybody."""
    reason: str = ""
    """Why ``idle_s`` is not known; empty where it is."""


def read_report(path: Path) -> PresenceReport | None:
    """Read the report; None when there is none.

    Raises:
        DocumentError: It is none.
        StoreError: It is too large for one.
        OSError: It cannot be read.
    """
    try:
        data = read_limited(path, max_bytes=MAX_REPORT_BYTES)
    except FileNotFoundError:
        return None
    return decode_json(PresenceReport, data, source=str(path))


def write_report(path: Path, report: PresenceReport) -> None:
    """Replace the report, by one rename.

    Raises:
        OSError: It cannot be written.
    """
    replace_shown(path, encode_canonical(report))
