"""Change what a repository offers, all of it or nothing: readers see a change only when the new timestamp is in place.

Order on disk: blobs and their indexes (written by the caller through the same tree), target files, metadata of the roles that changed,
snapshot, timestamp. Nothing is written before every key that will be needed has been opened and found to be the trusted one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from securesystemslib.signer import Signer
from tuf.api.metadata import Snapshot, Targets, Timestamp

from edged.errors import TrustError
from edged.files import hash_bytes
from edged.publish.keys.signers import Signers
from edged.publish.repository.roles import Expiry, delegate, key_name, meta_file, sign, target_file
from edged.publish.repository.state import TIMESTAMP_PATH, State, metadata_path, next_version
from edged.publish.repository.tree import Tree


def target_location(path: str, digest: str) -> str:
    """Return where a target lies: with consistent snapshots its digest is part of its name."""
    place = PurePosixPath(path)
    return f"targets/{place.parent}/{digest}.{place.name}"


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

    def set_target(self, role: str, path: str, data: bytes) -> bool:
        """Let ``role`` list these bytes under ``path``; return False when it does already."""
        listed = self.state.targets[role].targets
        new = target_file(path, data)
        if path in listed and listed[path] == new:
            return False
        listed[path] = new
        self._changed.add(role)
        self._files[target_location(path, hash_bytes(data))] = data
        return True

    def target(self, role: str, path: str) -> bytes | None:
        """Return the published bytes of a target; None when the role does not list it.

        Raises:
            TrustError: The file is not what was signed.
        """
        listed = self.state.targets[role].targets.get(path)
        if listed is None:
            return None
        place = target_location(path, listed.hashes["sha256"])
        try:
            data = self.tree.read(place)
        except FileNotFoundError as exc:
            raise TrustError(
                f"{self.tree.root / place} is missing", hint="Restore the repository from a copy."
            ) from exc
        if hash_bytes(data) != listed.hashes["sha256"]:
            raise TrustError(
                f"{self.tree.root / place} is not what was signed", hint="Restore the repository from a copy."
            )
        return data

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
            if self.expiry.is_due(role, targets, self.now) and self.keys.has(key_name(role)):
                self._changed.add(role)

    def renew_root(self) -> bool:
        """Write the next version of the root if it will expire before long and enough of its keys are here.

        Raises:
            UsageError: A root key cannot be opened; no root was written.
            NotPermittedError: A root key can be read by other users; no root was written.
        """
        root = self.state.root
        if not self.expiry.is_due("root", root, self.now):
            return False
        role = root.roles["root"]
        here = [self.keys.signer(name) for name in self.keys.names() if name.startswith("root-")]
        signers = [signer for signer in here if signer.public_key.keyid in role.keyids]
        if len(signers) < role.threshold:
            return False
        self.report("sign root")
        root.version += 1
        root.expires = self.expiry.date("root", self.now)
        self.tree.add(metadata_path("root", root.version), sign(root, signers))
        return True

    def due(self) -> tuple[tuple[str, datetime], ...]:
        """Return the roles that should be signed again, with the time each expires; after ``commit``, those it had no keys for."""
        state = self.state
        roles = {"root": state.root, **state.targets, "snapshot": state.snapshot, "timestamp": state.timestamp}
        return tuple((r, signed.expires) for r, signed in roles.items() if self.expiry.is_due(r, signed, self.now))

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
        for role in self._roles_to_sign():
            self.check_key(role)

    def commit(self) -> list[str]:
        """Write and sign everything that changed, the timestamp last.

        Returns:
            The roles that were signed, in order; empty when there was nothing to do.

        Raises:
            UsageError: As ``check_keys``; nothing was written.
            TrustError: As ``check_keys``; nothing was written.
        """
        roles = self._roles_to_sign()
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

    def _roles_to_sign(self) -> list[str]:
        # A role comes before the one that names its version.
        roles = sorted(self._changed - {"targets"}) + (["targets"] if "targets" in self._changed else [])
        is_due = self.expiry.is_due
        if roles or is_due("snapshot", self.state.snapshot, self.now):
            return [*roles, "snapshot", "timestamp"]
        return ["timestamp"] if is_due("timestamp", self.state.timestamp, self.now) else []

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
