"""Make and change a repository: the operations behind ``edge-publish init``, ``publish`` and ``resign``.

Each operation holds the tree's lock, verifies what is there, and can be run again after being killed at any point: it finds what it wrote
already and goes on.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tuf.api.metadata import MetaFile, Root, Snapshot, Timestamp

from edged.bundle.edgeb import read_manifest
from edged.bundle.manifest import Manifest
from edged.codec import decode_json, encode_canonical
from edged.errors import BundleError, UsageError
from edged.files import hash_bytes
from edged.ids import ModelName, Version
from edged.publish.blobs import blob_path, index_path, read_blobs
from edged.publish.keys import Keyring, root_keys
from edged.publish.roles import (
    OPS,
    ROLLOUT_PATH,
    STOP,
    TOP_ROLES,
    Expiry,
    manifest_path,
    model_role,
    new_root,
    new_targets,
    sign,
)
from edged.publish.state import (
    State,
    has_models,
    is_repository,
    lost_timestamp,
    metadata_path,
    read_root,
    read_state,
)
from edged.publish.transaction import Transaction
from edged.publish.tree import Tree
from edged.update.rollout import Rollout, RolloutEntry

Report = Callable[[str], None]
DEFAULT_EXPIRY = Expiry()


def _quiet(_line: str) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What an operation did: the roles it signed, in order; none when everything was there already."""

    signed: tuple[str, ...]
    due: tuple[tuple[str, datetime], ...] = ()
    """After a ``resign``: roles that should be signed again but whose keys are not here, with the time each expires."""

    @property
    def is_changed(self) -> bool:
        """Tell whether devices will see anything new."""
        return bool(self.signed)


def init_repository(
    directory: Path,
    keys: Keyring,
    *,
    now: datetime,
    root_count: int = 5,
    root_threshold: int = 3,
    expiry: Expiry = DEFAULT_EXPIRY,
    report: Report = _quiet,
    tree: Tree | None = None,
) -> Published:
    """Make a repository without models, and the keys for it that are not there yet.

    Args:
        directory: Where; made when it is not there.
        keys: Ends up with ``root-1`` to ``root-<root_count>`` and one key for each other role.
        now: UTC.
        root_count: Number of root keys.
        root_threshold: How many of them must sign a new root.
        expiry: How long the signatures hold.
        report: Told one line for each step.
        tree: What writes; made from ``directory`` when not given.

    Raises:
        UsageError: The counts make no sense, the directory holds a repository of other keys, or the keys lie in it.
        TrustError: The repository has lost its timestamp, so nobody knows which versions devices have seen.
    """
    if not 1 <= root_threshold <= root_count:
        raise UsageError(
            f"{root_threshold} of {root_count} root keys cannot sign",
            hint="Use a threshold from 1 to the number of keys.",
        )
    tree = tree or Tree(directory)
    _check_place(tree, keys)
    with tree.locked():
        if not tree.has(metadata_path("root", 1)):
            root = _make_root(keys, root_count, root_threshold, expires=expiry.date("root", now))
            report("sign root")
            tree.add(metadata_path("root", 1), sign(root, [keys.signer(name) for name in root_keys(root_count)]))
        state = _empty_state(read_root(tree), expiry, now)
        transaction = Transaction(tree=tree, state=state, keys=keys, expiry=expiry, now=now, report=report)
        _check_root(transaction, root_count, root_threshold)
        if is_repository(tree):
            return Published(signed=())
        # An init that was interrupted has no models yet; versions that start again at 1 would be refused by every device.
        if has_models(tree):
            raise lost_timestamp(tree)
        for role in (OPS, STOP):
            transaction.add_role(role)
        return Published(signed=("root", *transaction.commit()))


def publish_bundle(
    directory: Path,
    bundle_dir: Path,
    keys: Keyring,
    *,
    now: datetime,
    rollout: bool = True,
    allow_lower: bool = False,
    expiry: Expiry = DEFAULT_EXPIRY,
    report: Report = _quiet,
    tree: Tree | None = None,
) -> Published:
    """Publish one version of one model, and by default tell every device to run it.

    Args:
        directory: The repository.
        bundle_dir: A bundle directory, as ``edge-publish bundle build`` makes it.
        keys: Needs ``snapshot``, ``timestamp``, ``model-<model>``, for a rollout ``ops``, and for a model's first version ``targets``.
        now: UTC.
        rollout: Also name this version in the rollout document.
        allow_lower: Let the version be lower than the highest one published.
        expiry: How long the signatures hold.
        report: Told one line for each step.
        tree: What writes; made from ``directory`` when not given.

    Raises:
        BundleError: The bundle is not what its manifest says; this version is published with other content; the version is lower than
            a published one and ``allow_lower`` is not set.
        UsageError: No repository, or a key is missing.
        TrustError: The repository was altered, or a key is not the one it trusts.
    """
    data, manifest = read_manifest(bundle_dir)
    blobs = read_blobs(bundle_dir, manifest)
    with _opened(tree or Tree(directory), keys, now, expiry, report) as transaction:
        _check_version(transaction.state, manifest, data, allow_lower=allow_lower)
        role = model_role(manifest.model)
        if role not in transaction.state.targets:
            transaction.add_role(role)
        transaction.set_target(role, manifest_path(manifest.model, manifest.version), data)
        if rollout:
            _set_rollout(transaction, {manifest.model: manifest.version}, now)
        transaction.check_keys()
        copied = [
            blob.content.size
            for blob in blobs
            if transaction.tree.add_copy(blob_path(blob.content.digest), blob.source, blob.content.digest)
        ]
        report(f"copy {len(copied)} of {len(blobs)} files ({sum(copied)} bytes)")
        for blob in blobs:
            if blob.content.index is not None:
                transaction.tree.add(index_path(blob.content.digest), blob.content.index)
        return Published(signed=tuple(transaction.commit()))


def resign(
    directory: Path,
    keys: Keyring,
    *,
    now: datetime,
    expiry: Expiry = DEFAULT_EXPIRY,
    report: Report = _quiet,
    tree: Tree | None = None,
) -> Published:
    """Sign again what has less than half of its time left, as far as the keys are here, and say what is left over.

    Raises:
        UsageError: No repository, the keys lie in it, the snapshot or timestamp key is missing, or a key cannot be opened.
        NotPermittedError: A key can be read by other users.
        TrustError: The repository was altered, or a key is not the one it trusts.
    """
    with _opened(tree or Tree(directory), keys, now, expiry, report) as transaction:
        # The root last: a root key that cannot be opened must not keep the timestamp from being signed.
        roles = transaction.commit()
        if transaction.renew_root():
            roles.append("root")
        return Published(signed=tuple(roles), due=transaction.due())


@contextmanager
def _opened(tree: Tree, keys: Keyring, now: datetime, expiry: Expiry, report: Report) -> Iterator[Transaction]:
    # Before the lock: in a directory that is something else, nothing is made or cleared away.
    if not tree.has(metadata_path("root", 1)):
        raise UsageError(f"{tree.root} is not a repository", hint="Make one: edge-publish init DIR --keys KEYS.")
    _check_place(tree, keys)
    with tree.locked():
        transaction = Transaction(tree=tree, state=read_state(tree), keys=keys, expiry=expiry, now=now, report=report)
        transaction.renew()
        yield transaction


def _check_place(tree: Tree, keys: Keyring) -> None:
    if keys.directory.resolve().is_relative_to(tree.root.resolve()):
        raise UsageError(
            "the keys lie in the repository, which anyone may read", hint="Name another directory with --keys."
        )


def _make_root(keys: Keyring, count: int, threshold: int, *, expires: datetime) -> Root:
    """Make every key of the repository, then the root that names the top ones: where a root is, no key is missing."""
    roles = {"root": [keys.ensure(name) for name in root_keys(count)]}
    roles |= {role: [keys.ensure(role)] for role in TOP_ROLES}
    for role in (OPS, STOP):
        keys.ensure(role)
    return new_root(roles=roles, thresholds={"root": threshold}, expires=expires)


def _empty_state(root: Root, expiry: Expiry, now: datetime) -> State:
    timestamp = Timestamp(version=1, expires=expiry.date("timestamp", now), snapshot_meta=MetaFile(version=1))
    timestamp.version = 0  # a commit counts up before it signs
    snapshot = Snapshot(version=1, expires=expiry.date("snapshot", now), meta={})
    return State(
        root=root, timestamp=timestamp, snapshot=snapshot, targets={"targets": new_targets(expiry.date("targets", now))}
    )


def _check_root(transaction: Transaction, count: int, threshold: int) -> None:
    role = transaction.state.root.roles["root"]
    if (len(role.keyids), role.threshold) != (count, threshold):
        found = f"{role.threshold} of {len(role.keyids)} root keys"
        hint = "Changing the root keys is a rotation of the root, not another init."
        raise UsageError(f"{transaction.tree.root} holds a repository that needs {found}", hint=hint)
    for name in TOP_ROLES:
        transaction.check_key(name)


def _check_version(state: State, manifest: Manifest, data: bytes, *, allow_lower: bool) -> None:
    role = state.targets.get(model_role(manifest.model))
    if role is None:
        return
    known = role.targets.get(manifest_path(manifest.model, manifest.version))
    if known is not None and known.hashes["sha256"] != hash_bytes(data):
        hint = "A published version never changes; give the bundle a higher version."
        raise BundleError(f"{manifest.name} {manifest.version} is published with other content", hint=hint)
    published = [Version.parse(path.split("/")[2]) for path in role.targets]
    highest = max(published, default=manifest.semver)
    if manifest.semver < highest and not allow_lower:
        hint = "Give the bundle a higher version, or pass --allow-lower to go back on purpose."
        raise BundleError(f"{manifest.name} {manifest.version} is lower than {highest}, which is published", hint=hint)


def _set_rollout(transaction: Transaction, models: Mapping[ModelName, str], now: datetime) -> None:
    before = transaction.target(OPS, ROLLOUT_PATH)
    old = decode_json(Rollout, before, source=ROLLOUT_PATH) if before is not None else None
    entries: dict[str, RolloutEntry] = dict(old.models) if old else {}
    entries.update({name: RolloutEntry(version=version) for name, version in models.items()})
    if old is not None and entries == old.models:
        return
    # Devices use the newest signed time they have seen as a clock, so it must not go back with this machine's.
    issued = max(now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), old.issued if old else "")
    transaction.set_target(OPS, ROLLOUT_PATH, encode_canonical(Rollout(schema=1, issued=issued, models=entries)))
