"""Which TUF roles a repository has, how long their signatures hold, and how their metadata is made. Nothing here touches a disk.

Rules (TUF specification 1.0.33): versions only grow; with consistent snapshots every metadata file but the timestamp carries its version
in its name; snapshot and timestamp pin what they name by version, length and SHA-256, so that the key of one delegated role alone cannot
make a device take other bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from edged.files import hash_bytes
from edged.ids import ModelName, Version

OPS: Final = "ops"
STOP: Final = "stop"
TOP_ROLES: Final = ("targets", "snapshot", "timestamp")
OFFLINE_ROLES: Final = ("root", "targets")
"""Their keys are brought when they are needed."""
# Compact: a device fetches the timestamp at every poll.
_SERIALIZER: Final = JSONSerializer(compact=True)


def model_role(model: ModelName) -> str:
    """Return the role that signs one model's manifests."""
    return f"m-{model}"


def manifest_path(model: ModelName, version: Version | str) -> str:
    """Return the TUF target path of a manifest."""
    return f"models/{model}/{version}/manifest.json"


def key_name(role: str) -> str:
    """Return the name of the key that signs a role other than root."""
    return f"model-{role[2:]}" if role.startswith("m-") else role


def delegated_paths(role: str) -> list[str]:
    """Return the path patterns a delegated role may sign; a star stands for one path component."""
    return [f"models/{role[2:]}/*/manifest.json"] if role.startswith("m-") else [f"{role}/*"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """How many days a signature of each role holds.

    Offline roles are renewed once a year. The timestamp is what makes a frozen mirror visible to devices, so it is short; whoever keeps
    a repository runs ``edge-publish resign`` more often than that.
    """

    root_days: int = 365
    targets_days: int = 365
    model_days: int = 365
    stop_days: int = 365
    ops_days: int = 30
    snapshot_days: int = 7
    timestamp_days: int = 1

    def lifetime(self, role: str) -> timedelta:
        """Return how long a new signature of ``role`` holds."""
        name = "model" if role.startswith("m-") else role
        return timedelta(days=getattr(self, f"{name}_days"))

    def date(self, role: str, now: datetime) -> datetime:
        """Return when metadata of ``role`` signed at ``now`` expires, in whole seconds as the specification has it."""
        return (now + self.lifetime(role)).replace(microsecond=0)

    def is_due(self, role: str, expires: datetime, now: datetime) -> bool:
        """Tell whether a role should be signed again: less than half of its time is left."""
        return expires - now < self.lifetime(role) / 2


def new_root(*, roles: Mapping[str, Sequence[Key]], thresholds: Mapping[str, int], expires: datetime) -> Root:
    """Make version 1 of the root metadata.

    Args:
        roles: Public keys of root, targets, snapshot and timestamp.
        thresholds: How many signatures a role needs, where it is not one.
        expires: In UTC, whole seconds.
    """
    return Root(
        version=1,
        expires=expires,
        keys={key.keyid: key for keys in roles.values() for key in keys},
        roles={name: Role([key.keyid for key in keys], thresholds.get(name, 1)) for name, keys in roles.items()},
        consistent_snapshot=True,
    )


def new_targets(expires: datetime) -> Targets:
    """Make version 1 of the top-level targets metadata: it lists no files and only delegates."""
    return Targets(version=1, expires=expires, delegations=Delegations(keys={}, roles={}))


def delegate(targets: Targets, role: str, key: Key) -> None:
    """Let ``role`` sign its own paths with one key.

    Terminating: when a role is asked for one of its paths and does not list it, nobody else may.
    """
    delegations = targets.delegations
    if delegations is None or delegations.roles is None:
        raise AssertionError("edged's targets metadata always delegates to named roles")
    delegations.keys[key.keyid] = key
    delegations.roles[role] = DelegatedRole(role, [key.keyid], 1, terminating=True, paths=delegated_paths(role))


def replace_key(delegator: Root | Targets, role: str, key: Key) -> None:
    """Let one key alone sign for a role that is there, in place of those that did."""
    for keyid in list(delegator.get_delegated_role(role).keyids):
        if keyid != key.keyid:
            delegator.revoke_key(keyid, role)
    delegator.add_key(key, role)


def target_file(path: str, data: bytes, *, custom: Mapping[str, str]) -> TargetFile:
    """Describe a target by its length and SHA-256, and by what its role says beside."""
    fields = {"custom": dict(custom)} if custom else {}
    return TargetFile(
        length=len(data), hashes={"sha256": hash_bytes(data)}, path=path, unrecognized_fields=dict[str, Any](fields)
    )


def meta_file(version: int, data: bytes) -> MetaFile:
    """Describe a metadata file by its version, length and SHA-256."""
    return MetaFile(version=version, length=len(data), hashes={"sha256": hash_bytes(data)})


def sign(signed: Root | Targets | Snapshot | Timestamp, signers: Iterable[Signer]) -> bytes:
    """Sign metadata and return the file's bytes."""
    metadata: Metadata[Any] = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes(_SERIALIZER)
