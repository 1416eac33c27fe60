"""The documents for a whole fleet: rollout, flags, policy, stops. How they are read from a repository, and how a new one is issued.

Devices use the newest signed time they have seen as a clock, so ``issued`` never goes back, whatever the clock of this machine says; and a
stop document counts only with a higher serial than the one before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

from msgspec.structs import replace

from edged.codec import decode_json, encode_canonical
from edged.errors import DocumentError, UsageError
from edged.ops.flags import MAX_FLAGS_BYTES, Flags
from edged.ops.policy import MAX_POLICY_BYTES, Policy
from edged.ops.rollout import MAX_ROLLOUT_BYTES, Rollout
from edged.ops.segments import Issued
from edged.ops.stop import MAX_STOP_BYTES, Stops
from edged.publish.repository.roles import OPS, STOP
from edged.publish.repository.state import State, read_target
from edged.publish.repository.transaction import Transaction
from edged.publish.repository.tree import Tree

D = TypeVar("D", Rollout, Flags, Policy, Stops)
REASON: Final = "reason"
"""Where the ``custom`` part of a target says why it was changed, when the document has no place for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[D]):
    """One of the documents."""

    role: str
    path: str
    type: type[D]
    max_bytes: int
    """Devices take no larger one."""
    first: Callable[[Issued], D]
    """Makes the document that says nothing."""


ROLLOUT: Final = Kind(
    role=OPS,
    path="ops/rollout.json",
    type=Rollout,
    max_bytes=MAX_ROLLOUT_BYTES,
    first=lambda issued: Rollout(schema=1, issued=issued, models={}),
)
FLAGS: Final = Kind(
    role=OPS,
    path="ops/flags.json",
    type=Flags,
    max_bytes=MAX_FLAGS_BYTES,
    first=lambda issued: Flags(schema=1, issued=issued, flags={}),
)
POLICY: Final = Kind(
    role=OPS,
    path="ops/policy.json",
    type=Policy,
    max_bytes=MAX_POLICY_BYTES,
    first=lambda issued: Policy(schema=1, issued=issued),
)
STOPS: Final = Kind(
    role=STOP,
    path="stop/stop.json",
    type=Stops,
    max_bytes=MAX_STOP_BYTES,
    first=lambda issued: Stops(schema=1, issued=issued, serial=0, models={}),
)


def read_document(tree: Tree, state: State, kind: Kind[D]) -> D | None:
    """Return a document as it is published; None when there is none.

    Raises:
        TrustError: The file is not what was signed.
        DocumentError: What was signed is no such document.
    """
    return _parse(kind, read_target(tree, state, kind.role, kind.path))


def document_in(transaction: Transaction, kind: Kind[D]) -> D | None:
    """Return a document as it will be after a transaction; None when there is none.

    Raises:
        TrustError: As ``read_document``.
        DocumentError: As ``read_document``.
    """
    return _parse(kind, transaction.target(kind.role, kind.path))


def change_document(
    transaction: Transaction, kind: Kind[D], change: Callable[[D, Issued], D], *, reason: str = ""
) -> bool:
    """Issue a document anew if a change makes another one of it; return whether it does.

    Args:
        transaction: Signs it.
        kind: Which.
        change: Gets the document as it is, which says nothing when there is none yet, and the time that the new one is issued at.
        reason: Why, where the document has no place for it.

    Raises:
        UsageError: Devices would not take the new document.
        TrustError: As ``read_document``.
        DocumentError: As ``read_document``.
    """
    published = document_in(transaction, kind)
    issued = issue_time(transaction.now, published.issued if published is not None else "")
    before = published if published is not None else kind.first(issued)
    after = change(before, issued)
    if after == before:
        return False
    if issued > issue_time(transaction.now, ""):
        transaction.report(f"warning: {kind.path} is from {issued}, which this machine's clock has not reached")
    if isinstance(after, Stops):
        after = replace(after, serial=after.serial + 1)
    data = encode_canonical(replace(after, issued=issued))
    _check(kind, data)
    return transaction.set_target(kind.role, kind.path, data, custom={REASON: reason} if reason else None)


def issue_time(now: datetime, before: Issued) -> Issued:
    """Return the time of a new document: now, or that of the document before when this machine's clock is behind it."""
    return max(now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), before)


def reason_of(state: State, kind: Kind[D]) -> str:
    """Return why a document was changed last, where it has no place for that itself."""
    listed = state.targets[kind.role].targets.get(kind.path)
    custom = listed.custom if listed is not None else None
    return str(custom.get(REASON, "")) if isinstance(custom, dict) else ""


def _parse(kind: Kind[D], data: bytes | None) -> D | None:
    return None if data is None else decode_json(kind.type, data, source=kind.path)


def _check(kind: Kind[D], data: bytes) -> None:
    """Read a document as a device will: what is put together from a command line may not follow the schema."""
    if len(data) > kind.max_bytes:
        hint = "Join rules that say the same, and forget what is no longer used."
        raise UsageError(f"{kind.path} would have {len(data)} bytes, devices take {kind.max_bytes}", hint=hint)
    try:
        decode_json(kind.type, data, source=kind.path)
    except DocumentError as exc:
        raise UsageError(f"devices would not take the new document: {exc.message}") from exc
