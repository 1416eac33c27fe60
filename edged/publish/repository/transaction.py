"""Change what a repository offers, all of it or nothing: readers see a change only when the new timestamp is in place.

Order on disk: blobs and their indexes (written by the caller through the same tree), target files, metadata of the roles that changed,
snapshot, timestamp. Nothing is written before every key that will be needed has been opened and found to be the trusted one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from securesystemslib.signer import Signer
from tuf.api.metadata import Snapshot, Targets, Timestamp

from edged.errors import TrustError
from edged.files import hash_bytes
from edged.publish.keys.signers import Signers
from edged.publish.repository.roles import TOP_ROLES, Expiry, delegate, key_name, meta_file, sign, target_file
from edged.publish.repository.state import (
    TIMESTAMP_PATH,
    State,
    metadata_path,
    next_version,
    read_target,
    target_location,
)
from edged.publish.repository.tree import Tree


@dataclass(slots=True, kw_only=True)
class Transaction:
    """One change being prepared on a locked tree.

    Args:
        tree: Held by the caller for as long as the transaction lives.
        state: What is published now; changed in place.
        keys: Where the signing keys are.
        expiry: How long new signatures hold.
        now: UTC.
        report: Told one line for each step.
    """

    tree: Tree
    state: State
    keys: Signers
    expiry: Expiry
    now: datetime
    report: Callable[[str], None]
    _changed: set[str] = field(default_factory=set)
    _files: dict[str, bytes] = field(default_factory=dict)

    def set_target(self, role: str, path: str, data: bytes, *, custom: Mapping[str, str] | None = None) -> bool:
        """Let ``role`` list these bytes under ``path``; return False when it does already.

        Args:
            role: Signs.
            path: The target path.
            data: The bytes.
            custom: What the role says beside; what it said of the same bytes before stays.
        """
        listed = self.state.targets[role].targets
        new = target_file(path, data, custom=custom or {})
        known = listed.get(path)
        if known is not None and (known.length, known.hashes) == (new.length, new.hashes):
            return False
        listed[path] = new
        self._changed.add(role)
        self._files[target_location(path, hash_bytes(data))] = data
        return True

    def mark_changed(self, role: str) -> None:
        """Sign a role again, whose metadata the caller has changed by itself or whose key is another one."""
        self._changed.add(role)

    def target(self, role: str, path: str) -> bytes | None:
        """Return the bytes of a target, as this transaction has changed it or else as it is published; None when no role lists it.

        Raises:
            TrustError: The file is not what was signed.
        """
        listed = self.state.targets[role].targets.get(path)
        if listed is not None and (changed := self._files.get(target_location(path, listed.hashes["sha256"]))):
            return changed
        return read_target(self.tree, self.state, role, path)

    def add_role(self, role: str) -> None:
        """Delegate to a role that is not there yet, making its key when that is not there either."""
        # The targets key is opened first: without it, no new key should be left behind.
        self.check_key("targets")
        delegate(self.state.targets["targets"], role, self.keys.ensure(key_name(role)))
        self.state.targets[role] = Targets(version=1, expires=self.expiry.date(role, self.now))
        self._changed |= {"targets", role}

    def renew(self) -> None:
        """Also sign what was not changed but will expire before long, as far as its key is here."""
        for role, targets in self.state.targets.items():
            if self.expiry.is_due(role, targets.expires, self.now) and self.keys.has(key_name(role)):
                self._changed.add(role)

    def roles_to_sign(self) -> list[str]:
        """Return the roles that ``commit`` will sign, in order."""
        # A role comes before the one that names its version.
        roles = sorted(self._changed - set(TOP_ROLES)) + (["targets"] if "targets" in self._changed else [])
        if roles or self._is_wanted("snapshot", self.state.snapshot.expires):
            return [*roles, "snapshot", "timestamp"]
        return ["timestamp"] if self._is_wanted("timestamp", self.state.timestamp.expires) else []

    def check_key(self, role: str) -> None:
        """Open the key of one role and make sure that it is the trusted one.

        Raises:
            UsageError: It is missing or cannot be opened.
            TrustError: It is not the key this repository trusts for the role.
        """
        self._signer(role)

    def check_keys(self) -> None:
        """Open every key that ``commit`` will use.

        Raises:
            UsageError: One is missing or cannot be opened.
            TrustError: One is not the key this repository trusts for its role.
        """
        for role in self.roles_to_sign():
            self.check_key(role)

    def commit(self) -> list[str]:
        """Write and sign everything that changed, the timestamp last.

        Returns:
            The roles that were signed, in order; empty when there was nothing to do.

        Raises:
            UsageError: As ``check_keys``; nothing was written.
            TrustError: As ``check_keys``; nothing was written.
        """
        roles = self.roles_to_sign()
        signers = {role: self._signer(role) for role in roles}
        for path, data in self._files.items():
            self.tree.add(path, data)
        for role in roles:
            self.report(f"sign {role}")
            match role:
                case "snapshot":
                    data = self._write(role, self.state.snapshot, signers[role])
                    self.state.timestamp.snapshot_meta = meta_file(self.state.snapshot.version, data)
                case "timestamp":
                    self._write_timestamp(signers[role])
                case _:
                    targets = self.state.targets[role]
                    data = self._write(role, targets, signers[role])
                    self.state.snapshot.meta[f"{role}.json"] = meta_file(targets.version, data)
        return roles

    def _is_wanted(self, role: str, expires: datetime) -> bool:
        return role in self._changed or self.expiry.is_due(role, expires, self.now)

    def _signer(self, role: str) -> Signer:
        name = key_name(role)
        signer = self.keys.signer(name)
        delegator = self.state.root if role in self.state.root.roles else self.state.targets["targets"]
        if signer.public_key.keyid not in delegator.get_delegated_role(role).keyids:
            hint = "It belongs to another repository; name the right directory with --keys."
            raise TrustError(
                f"{self.keys.place(name)} is not the key this repository trusts for role {role}", hint=hint, role=role
            )
        return signer

    def _write(self, role: str, signed: Snapshot | Targets, signer: Signer) -> bytes:
        signed.version = next_version(self.tree, role)
        signed.expires = self.expiry.date(role, self.now)
        data = sign(signed, [signer])
        self.tree.add(metadata_path(role, signed.version), data)
        return data

    def _write_timestamp(self, signer: Signer) -> None:
        timestamp: Timestamp = self.state.timestamp
        timestamp.version += 1
        timestamp.expires = self.expiry.date("timestamp", self.now)
        self.tree.replace(TIMESTAMP_PATH, sign(timestamp, [signer]))
