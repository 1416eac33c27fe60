"""Make and change a repository: the operations behind ``edge-publish init`` and ``publish``.

Each verifies what is there, and can be run again after being killed at any point: it finds what it wrote already and goes on.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType

from securesystemslib.signer import Key
from tuf.api.metadata import MetaFile, Root, Snapshot, Timestamp

from edged.bundle.edgeb import read_manifest
from edged.bundle.manifest import Manifest
from edged.errors import UsageError
from edged.ids import Version
from edged.ops.rollout import Next, RolloutEntry
from edged.ops.segments import Issued
from edged.publish.fleet.rollout import DEFAULT_SOAK_S, release, rollout_id, start
from edged.publish.keys.directory import root_keys
from edged.publish.keys.signers import Signers
from edged.publish.repository.blobs import read_blobs
from edged.publish.repository.changing import (
    DEFAULT_EXPIRY,
    Published,
    Report,
    Repository,
    check_place,
    check_repository,
    quiet,
    warn_of_expiry,
)
from edged.publish.repository.fleet import EntryChange, apply_floor, change_entry
from edged.publish.repository.release import check_models, check_version, copy_blobs, opened_bundle
from edged.publish.repository.roles import (
    OPS,
    STOP,
    TOP_ROLES,
    Expiry,
    manifest_path,
    model_role,
    new_root,
    new_targets,
    sign,
)
from edged.publish.repository.state import (
    State,
    has_models,
    is_repository,
    lost_timestamp,
    metadata_path,
    read_root,
)
from edged.publish.repository.transaction import Transaction
from edged.publish.repository.tree import Tree
from edged.publish.secrets import refuse_secrets


def init_repository(
    directory: Path,
    keys: Signers,
    *,
    now: datetime,
    root_count: int = 5,
    root_threshold: int = 3,
    root: bytes | None = None,
    expiry: Expiry = DEFAULT_EXPIRY,
    report: Report = quiet,
) -> Published:
    """Make a repository without models, and the keys for it that are not there yet.

    Args:
        directory: Where; made when it is not there.
        keys: Ends up with ``root-1`` to ``root-<root_count>`` and one key for each other role.
        now: UTC.
        root_count: Number of root keys.
        root_threshold: How many of them must sign a new root.
        root: The first root metadata, signed by root keys that are not here; None to make both here.
        expiry: How long the signatures hold.
        report: Told one line for each step.

    Raises:
        UsageError: The counts make no sense, the directory holds a repository of other keys, or the keys lie in it.
        TrustError: The repository has lost its timestamp, so nobody knows which versions devices have seen.
    """
    if not 1 <= root_threshold <= root_count:
        raise UsageError(
            f"{root_threshold} of {root_count} root keys cannot sign",
            hint="Use a threshold from 1 to the number of keys.",
        )
    tree = Tree(directory)
    check_place(tree, keys)
    with tree.locked():
        if not tree.has(metadata_path("root", 1)):
            if root is None:
                root = _sign_root(keys, root_count, root_threshold, expires=expiry.date("root", now))
                report("sign root")
            tree.add(metadata_path("root", 1), root)
        state = _empty_state(read_root(tree), expiry, now)
        transaction = Transaction(tree=tree, state=state, keys=keys, expiry=expiry, now=now, report=report)
        _check_root(transaction, root_count, root_threshold)
        if is_repository(tree):
            warn_of_expiry(tree, expiry, now=now, report=report)
            return Published(signed=())
        # An init that was interrupted has no models yet; versions that start again at 1 would be refused by every device.
        if has_models(tree):
            raise lost_timestamp(tree)
        for role in (OPS, STOP):
            transaction.add_role(role)
        published = Published(signed=("root", *transaction.commit()))
        warn_of_expiry(tree, expiry, now=now, report=report)
        return published


def publish_bundle(
    directory: Path,
    bundle: Path,
    keys: Signers,
    *,
    now: datetime,
    rollout: bool = True,
    percent: float | None = None,
    min_version: Version | None = None,
    allow_lower: bool = False,
    allowed_secrets: Mapping[str, str] = MappingProxyType({}),
    expiry: Expiry = DEFAULT_EXPIRY,
    report: Report = quiet,
) -> Published:
    """Publish one version of one model, and by default tell every device to run it.

    Args:
        directory: The repository.
        bundle: A bundle directory or a packed bundle, as ``edge-publish bundle build`` makes them.
        keys: Needs ``snapshot``, ``timestamp``, ``model-<model>``, for a rollout ``ops``, and for a model's first version ``targets``.
        now: UTC.
        rollout: Also name this version in the rollout document.
        percent: Name it as the next one, for so many percent of all devices; None names it as the version for everyone.
        min_version: Let no lower version run any more.
        allow_lower: Let the version be lower than the highest one published.
        allowed_secrets: As for ``refuse_secrets``.
        expiry: How long the signatures hold.
        report: Told one line for each step.

    Raises:
        SecretFoundError: Something in it looks like a secret.
        UnsafeModelError: A model asks for what devices refuse.
        BundleError: The bundle is not what its manifest says; this version is published with other content; the version is lower than
            a published one and ``allow_lower`` is not set.
        UsageError: No repository, a key is missing, another version is being rolled out, or the floor cannot be.
        TrustError: The repository was altered, or a key is not the one it trusts.
        UnavailableError: Another publisher is copying files into it.
    """
    tree = Tree(directory)
    repository = Repository(tree=tree, keys=keys, now=now, expiry=expiry, report=report)
    # Before the lock: in a directory that is something else, nothing is made or cleared away.
    check_repository(tree)
    check_place(tree, keys)
    with tree.working(), opened_bundle(bundle, directory) as bundle_dir:
        data, manifest = read_manifest(bundle_dir)
        blobs = read_blobs(bundle_dir, manifest)
        # Whoever built it, wherever: what is published cannot be taken back.
        refuse_secrets(bundle_dir, manifest, report=report, allowed=allowed_secrets)
        check_models(bundle_dir, manifest)
        change = partial(
            _add_version,
            manifest=manifest,
            data=data,
            named=_naming(manifest, percent) if rollout else None,
            min_version=min_version,
            allow_lower=allow_lower,
        )
        repository.prepare(change)
        copy_blobs(tree, blobs, bundle_dir, report)
        published = repository.commit(change)
    repository.warn()
    return published


def _add_version(
    transaction: Transaction,
    *,
    manifest: Manifest,
    data: bytes,
    named: EntryChange | None,
    min_version: Version | None,
    allow_lower: bool,
) -> None:
    check_version(transaction.state, manifest, data, allow_lower=allow_lower)
    role = model_role(manifest.model)
    if role not in transaction.state.targets:
        transaction.add_role(role)
    transaction.set_target(role, manifest_path(manifest.model, manifest.version), data)
    if named is not None:
        change_entry(transaction, manifest.model, named)
    if min_version is not None:
        apply_floor(transaction, manifest.model, min_version)


def _naming(manifest: Manifest, percent: float | None) -> EntryChange:
    version = manifest.version

    def for_everyone(entry: RolloutEntry | None, _issued: Issued) -> RolloutEntry:
        return release(entry, version)

    def for_some(entry: RolloutEntry | None, issued: Issued) -> RolloutEntry:
        return start(
            entry,
            Next(
                id=rollout_id(manifest.name, version),
                version=version,
                percent=100.0 if percent is None else percent,
                soak_s=DEFAULT_SOAK_S,
                since=issued,
            ),
        )

    return for_everyone if percent is None else for_some


def _sign_root(keys: Signers, count: int, threshold: int, *, expires: datetime) -> bytes:
    """Make every key of the repository, then the root that names the top ones: where a root is, no key is missing."""
    names = root_keys(count)
    root = make_first_root(keys, [keys.ensure(name) for name in names], threshold, expires=expires)
    return sign(root, [keys.signer(name) for name in names])


def make_first_root(keys: Signers, root_public: Sequence[Key], threshold: int, *, expires: datetime) -> Root:
    """Make the keys of all roles but root, and the unsigned first root that names them."""
    roles = {"root": root_public} | {role: [keys.ensure(role)] for role in TOP_ROLES}
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
