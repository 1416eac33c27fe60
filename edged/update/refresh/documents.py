"""The fleet's documents, brought into the store: what has to be obeyed first comes first, and each stands for itself.

Rules:

(1) The stop document comes before all others and is in the store before anything else is fetched.
(2) A document replaces the one before only when it reads well as what it is to be: one with a newer schema, or that its publisher
    damaged, leaves the last good one in force.
(3) A document that the repository does not list leaves the last good one in force, too: nobody lifts a stop by leaving it out.
(4) A stop document follows another one only with a higher serial, whatever TUF says about its role.
(5) No document is from the future, that is from a time when the metadata that vouches for it will have expired: it is one of the clocks
    of a device that has none (``edged.update.freshness.now``), and one such date would make all metadata look expired for ever.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from edged.codec import Document, decode_json
from edged.errors import (
    DocumentError,
    EdgedError,
    GateRefusedError,
    HostUnreachableError,
    MetadataRollbackError,
    Problem,
)
from edged.files import read_limited
from edged.ops.documents import is_newer
from edged.ops.flags import MAX_FLAGS_BYTES, Flags
from edged.ops.policy import MAX_POLICY_BYTES, Policy
from edged.ops.rollout import MAX_ROLLOUT_BYTES, Rollout
from edged.ops.stop import MAX_STOP_BYTES, Stops
from edged.store.disk import disk_errors, install_document
from edged.store.layout import StoreLayout
from edged.update.freshness.now import unix_s_of
from edged.update.refresh.undone import Undone
from edged.update.trust.trust import TrustedRepository

T_co = TypeVar("T_co", bound=Stops | Flags | Policy | Rollout, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T_co]):
    """One of the documents."""

    target: str
    """Its path in the repository."""
    type: type[T_co]
    max_bytes: int
    place: Callable[[StoreLayout], Path]


STOP: Final = Kind(target="stop/stop.json", type=Stops, max_bytes=MAX_STOP_BYTES, place=lambda store: store.stop)
FLAGS: Final = Kind(target="ops/flags.json", type=Flags, max_bytes=MAX_FLAGS_BYTES, place=lambda store: store.flags)
POLICY: Final = Kind(
    target="ops/policy.json", type=Policy, max_bytes=MAX_POLICY_BYTES, place=lambda store: store.policy
)
ROLLOUT: Final = Kind(
    target="ops/rollout.json", type=Rollout, max_bytes=MAX_ROLLOUT_BYTES, place=lambda store: store.rollout
)
_IN_ORDER: Final = (STOP, FLAGS, POLICY, ROLLOUT)  # (1)


def bring_documents(repository: TrustedRepository, layout: StoreLayout) -> list[Undone]:
    """Bring every document that the repository lists into the store; returns what could not be done.

    Raises:
        HostUnreachableError: The host does not answer.
        GateRefusedError: The gate does not let anybody ask it.
    """
    undone: list[Undone] = []
    for kind in _IN_ORDER:
        try:
            refusal = _bring(repository, layout, kind)
            if refusal is not None:
                undone.append(Undone(subject=kind.target, error=refusal, is_for_publisher=True))
        except (HostUnreachableError, GateRefusedError):
            raise  # nothing else of this host will come either
        except EdgedError as error:
            undone.append(Undone(subject=kind.target, error=error, is_for_publisher=False))
    return undone


def read_document(layout: StoreLayout, kind: Kind[T_co]) -> T_co | None:
    """Return the last good document; None when there is none, or the disk changed it."""
    try:
        return decode_json(kind.type, _read_known(layout, kind), source=kind.target)
    except EdgedError:
        return None


def _bring(repository: TrustedRepository, layout: StoreLayout, kind: Kind[T_co]) -> EdgedError | None:
    """Bring one document; returns why what was signed is refused."""
    if not repository.lists(kind.target):  # (3)
        return None
    known = _read_known(layout, kind)
    data = repository.read_target(kind.target, max_bytes=kind.max_bytes, known=known).data
    try:
        document = decode_json(kind.type, data, source=kind.target)  # (2)
        if data != known:
            _check_date(document.issued, latest_unix_s=repository.expires_unix_s, source=kind.target)
            _check_order(document, read_document(layout, kind), source=kind.target)
    except (DocumentError, MetadataRollbackError) as refusal:
        return refusal
    if data != known:
        install_document(kind.place(layout), data)
    return None


def _check_date(issued: str, *, latest_unix_s: float, source: str) -> None:
    """Refuse a date that is none, or that comes too late (5)."""
    try:
        is_good = unix_s_of(issued) <= latest_unix_s
    except ValueError:
        is_good = False
    if not is_good:
        expected = "expected a time before the metadata that names the document expires"
        raise DocumentError(source, [Problem(pointer="/issued", expected=expected, found=issued)])


def _check_order(document: Document, before: Document | None, *, source: str) -> None:
    """Refuse a stop document that does not follow the one before (4)."""
    if not is_newer(document, before):
        raise MetadataRollbackError(
            f"{source} has no higher serial than the one that is in force here",
            hint="Publisher: sign a stop document with a higher serial. In a new repository, begin above that of the old one.",
        )


def _read_known(layout: StoreLayout, kind: Kind[T_co]) -> bytes:
    """Read what the store holds; nothing when that cannot be what was signed."""
    path = kind.place(layout)
    try:
        with disk_errors(f"reading {path}"):
            return read_limited(path, max_bytes=kind.max_bytes) if path.is_file() else b""
    except EdgedError:
        return b""
