"""What a ceremony has settled so far: kept beside the pending root, so that it goes on where it was interrupted."""

from typing import Final, Literal

from edged.codec import Document, decode_json, encode_readable
from edged.files import read_limited, replace_durably
from edged.publish.root.pending import PendingRoot

PLAN_NAME: Final = "ceremony.json"
MAX_PLAN_BYTES: Final = 1 << 20


class Holder(Document, frozen=True, kw_only=True):
    """One root key and the person who holds it."""

    key: str
    """``root-1`` and so on."""
    person: str
    keyid: str
    public: str
    """The public part, PEM."""
    directory: str = ""
    """Where the private part was made; empty when it is elsewhere."""


class Plan(Document, frozen=True, kw_only=True):
    """The root keys that were settled so far, in order."""

    schema: Literal[1]
    count: int
    threshold: int
    holders: tuple[Holder, ...] = ()


def read_plan(pending: PendingRoot) -> Plan | None:
    """Return what a ceremony has settled, or None when none was begun.

    Raises:
        DocumentError: The file was altered by somebody else.
        OSError: It cannot be read.
    """
    path = pending.directory / PLAN_NAME
    if not path.is_file():
        return None
    return decode_json(Plan, read_limited(path, max_bytes=MAX_PLAN_BYTES), source=str(path))


def write_plan(pending: PendingRoot, plan: Plan) -> None:
    """Keep what was settled.

    Raises:
        OSError: The disk refused.
    """
    replace_durably(pending.directory / PLAN_NAME, encode_readable(plan))
