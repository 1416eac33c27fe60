"""Read a repository's metadata back from disk, and believe it only when it is signed.

A publisher extends what it finds: adding one bundle to a list that someone else altered would sign the alteration. So the same chain that
a device follows is checked here, from root to each delegated role. Expiry is not: signing anew is how expired metadata is mended.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeVar

from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from edged.errors import SignatureInvalidError, TrustError, UsageError
from edged.files import hash_bytes
from edged.publish.repository.tree import Tree

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)
METADATA: Final = "metadata"
TIMESTAMP_PATH: Final = f"{METADATA}/timestamp.json"


@dataclass(slots=True, kw_only=True)
class State:
    """The verified metadata a repository's timestamp leads to. Changing it and writing it out is ``Transaction``'s work."""

    root: Root
    timestamp: Timestamp
    snapshot: Snapshot
    targets: dict[str, Targets]
    """By role: ``targets`` and the roles it delegates to, as far as they were asked for."""

    @property
    def delegated(self) -> list[str]:
        """The names of all roles that ``targets`` delegates to, sorted."""
        delegations = self.targets["targets"].delegations
        return sorted(delegations.roles if delegations and delegations.roles else {})


def metadata_path(role: str, version: int) -> str:
    """Return where a version of a role's metadata lies (consistent snapshots)."""
    return f"{METADATA}/{version}.{role}.json"


def next_version(tree: Tree, role: str) -> int:
    """Return the first version of a role that no file has.

    A publisher killed before its timestamp leaves files that nothing refers to. Their numbers are skipped, because a cache between the
    host and a device may have seen them and published files never change.
    """
    pattern = re.compile(rf"([1-9][0-9]*)\.{re.escape(role)}\.json")
    found = (pattern.fullmatch(path.name) for path in (tree.root / METADATA).glob(f"*.{role}.json"))
    return max((int(match[1]) for match in found if match), default=0) + 1


def is_repository(tree: Tree) -> bool:
    """Tell whether a repository is complete: its timestamp, always written last, is there."""
    return tree.has(TIMESTAMP_PATH)


def has_models(tree: Tree) -> bool:
    """Tell whether metadata of any model was ever written."""
    return any((tree.root / METADATA).glob("*.m-*.json"))


def lost_timestamp(tree: Tree) -> TrustError:
    """Return the error of a repository that was complete once and is not any more."""
    hint = "Restore it from the host or a copy; it is the newest one devices have seen."
    return TrustError(f"{tree.root} has lost {TIMESTAMP_PATH}", hint=hint)


def read_root(tree: Tree, *, newest: int | None = None) -> Root:
    """Return the newest root that the first one leads to.

    Args:
        tree: Where from.
        newest: The version to stop at; None to go on to the last one.

    Raises:
        UsageError: There is no root metadata.
        TrustError: A root is unreadable or not signed by its predecessor and itself.
    """
    if not tree.has(metadata_path("root", 1)):
        raise UsageError(f"{tree.root} is not a repository", hint="Make one: edge-publish init DIR --keys KEYS.")
    root: Root | None = None
    version = 1
    while tree.has(path := metadata_path("root", version)) and (newest is None or version <= newest):
        metadata = _parse(tree, path, Root)
        for signer in (root or metadata.signed, metadata.signed):
            _check_signature(signer, "root", metadata, tree.root / path)
        if metadata.signed.version != version:
            raise TrustError(f"{tree.root / path} says it is version {metadata.signed.version}")
        root = metadata.signed
        version += 1
    if root is None:
        raise AssertionError("version 1 was there a moment ago and the tree is locked")
    return root


def read_state(tree: Tree, *, roles: Collection[str] | None = None, root: Root | None = None) -> State:
    """Read and verify metadata. Needs no lock: all that a timestamp leads to was there before it and never changes.

    Args:
        tree: Where from.
        roles: The delegated roles to read; None reads all of them.
        root: The root whose keys signed it; None for the newest one.

    Raises:
        UsageError: The directory holds no complete repository.
        TrustError: Something is missing, altered, not signed, or not the file that was published.
    """
    root = root or read_root(tree)
    if not is_repository(tree):
        if has_models(tree):
            raise lost_timestamp(tree)
        raise UsageError(f"{tree.root} is not a complete repository", hint="Run edge-publish init on it again.")
    timestamp = _verified(tree, TIMESTAMP_PATH, Timestamp, root, "timestamp")
    snapshot_meta = timestamp.snapshot_meta
    snapshot = _verified(
        tree, metadata_path("snapshot", snapshot_meta.version), Snapshot, root, "snapshot", pinned=snapshot_meta
    )
    targets = _verified_targets(tree, snapshot, root, "targets")
    state = State(root=root, timestamp=timestamp, snapshot=snapshot, targets={"targets": targets})
    for role in state.delegated:
        if roles is None or role in roles:
            state.targets[role] = _verified_targets(tree, snapshot, targets, role)
    return state


def target_location(path: str, digest: str) -> str:
    """Return where a target lies: with consistent snapshots its digest is part of its name."""
    place = PurePosixPath(path)
    return f"targets/{place.parent}/{digest}.{place.name}"


def read_target(tree: Tree, state: State, role: str, path: str) -> bytes | None:
    """Return the published bytes of a target; None when the role does not list it.

    Raises:
        TrustError: The file is not what was signed.
    """
    listed = state.targets[role].targets.get(path)
    if listed is None:
        return None
    place = target_location(path, listed.hashes["sha256"])
    hint = "Restore the repository from a copy."
    try:
        data = tree.read(place)
    except FileNotFoundError as exc:
        raise TrustError(f"{tree.root / place} is missing", hint=hint) from exc
    if hash_bytes(data) != listed.hashes["sha256"]:
        raise TrustError(f"{tree.root / place} is not what was signed", hint=hint)
    return data


def _verified_targets(tree: Tree, snapshot: Snapshot, delegator: Root | Targets, role: str) -> Targets:
    meta = snapshot.meta.get(f"{role}.json")
    if meta is None:
        raise TrustError(
            f"the snapshot of {tree.root} does not name {role}", hint="Restore the repository from a copy."
        )
    return _verified(tree, metadata_path(role, meta.version), Targets, delegator, role, pinned=meta)


def _verified(
    tree: Tree, path: str, type_: type[S], delegator: Root | Targets, role: str, *, pinned: MetaFile | None = None
) -> S:
    metadata = _parse(tree, path, type_)
    _check_signature(delegator, role, metadata, tree.root / path)
    if pinned is not None:
        try:
            pinned.verify_length_and_hashes(tree.read(path))
        except LengthOrHashMismatchError as exc:
            hint = "Someone put another signed file in its place; restore the repository from a copy."
            raise TrustError(f"{tree.root / path} is not the file that was published", hint=hint) from exc
    return metadata.signed


def _parse(tree: Tree, path: str, type_: type[S]) -> Metadata[S]:
    try:
        metadata: Metadata[S] = Metadata.from_bytes(tree.read(path))
    except (FileNotFoundError, DeserializationError) as exc:
        hint = "Restore the repository from a copy."
        raise TrustError(f"{tree.root / path} is missing or is not TUF metadata", hint=hint) from exc
    if not isinstance(metadata.signed, type_):
        raise TrustError(
            f"{tree.root / path} is not {type_.__name__.lower()} metadata", hint="Restore the repository from a copy."
        )
    return metadata


def _check_signature(delegator: Root | Targets, role: str, metadata: Metadata[Any], path: Path) -> None:
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as exc:
        hint = "Someone altered it after it was signed; restore the repository from a copy. Or keys replace was killed: repeat that."
        raise SignatureInvalidError(f"{path} is not signed by the keys of role {role}", hint=hint, role=role) from exc
