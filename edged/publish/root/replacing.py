"""Give roles other than root new keys: a stolen or lost one is trusted no more, and what it signed is signed again.

(1) What speaks against it is found. The new keys are made, and wait beside the old ones (``edged.publish.keys.succession``).
(2) Where timestamp, snapshot or targets get a new key, the next root names it. Holders sign that as for a rotation; until enough of them
    have, nothing is published, and the old keys go on.
(3) The root is published, and in the same moment everything that a new key signs, and what names it: the roles, targets, snapshot, the
    timestamp last. A device that reads the root before the timestamp waits for the next poll.
(4) The new keys get the places of the old ones.

Running it again is how it goes on after (2), and after it was killed anywhere. A key that another role has, too, is not replaced in one of
them only.

A device that sees a key of timestamp or snapshot go forgets what these roles said (TUF specification, 5.3.11), so versions that a thief
counted up to the sky do not keep out what comes after him.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Targets

from edged.errors import SignatureInvalidError, UsageError
from edged.publish.keys.directory import Keyring, check_name
from edged.publish.keys.succession import Succession
from edged.publish.repository.changing import (
    DEFAULT_EXPIRY,
    Report,
    check_place,
    check_repository,
    quiet,
    warn_of_expiry,
)
from edged.publish.repository.roles import TOP_ROLES, Expiry, replace_key
from edged.publish.repository.state import State, metadata_path, read_root, read_state
from edged.publish.repository.transaction import Transaction
from edged.publish.repository.tree import Tree
from edged.publish.root.founding import Signing, read_pending, sign_with, still_missing
from edged.publish.root.pending import PendingRoot, to_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """How far it is."""

    signing: Signing | None
    """Of the root that waits for holders; None when everything is published."""
    names: tuple[str, ...] = ()
    """Of the keys that are new: those that were asked for, or what was left over by a run that was killed."""
    signed: tuple[str, ...] = ()
    """Roles, in order."""
    replaced: tuple[Path, ...] = ()
    """Private keys that are trusted no more and are still here."""


def replace_keys(
    directory: Path,
    keys: Keyring,
    names: Sequence[str],
    *,
    now: datetime,
    expiry: Expiry = DEFAULT_EXPIRY,
    report: Report = quiet,
) -> Replacement:
    """Replace keys, as far as the signatures that are here go.

    Args:
        directory: The repository.
        keys: Ends up with the new keys under the names of the old ones. Root keys among them sign at once. Needs the keys of those other
            roles that have to be signed again: timestamp; snapshot, unless only the timestamp's is replaced; for ops, stop and models
            also targets.
        names: Of the keys, without root keys.
        now: UTC.
        expiry: How long new signatures hold.
        report: Told one line for each step.

    Raises:
        UsageError: No repository, no such role, a key is missing, the old key signs for another role, too, or another change of the root
            is pending.
        SignatureInvalidError: A signature that was handed in is not good.
        TrustError: The repository was altered, or a key is not the one it trusts.
        UnavailableError: Another publisher is at work in it.
    """
    roles = {name: _role_of(name) for name in dict.fromkeys(names)}
    tree = Tree(directory)
    check_repository(tree)
    check_place(tree, keys)
    succession = Succession(keyring=keys, replaced=tuple(roles))
    with tree.working():
        return _Run(tree=tree, succession=succession, roles=roles, now=now, expiry=expiry, report=report).go_on()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    tree: Tree
    succession: Succession
    roles: Mapping[str, str]
    """By the names of their keys."""
    now: datetime
    expiry: Expiry
    report: Report

    def go_on(self) -> Replacement:
        pending = PendingRoot.beside(self.tree.root)
        root = read_root(self.tree)
        names = self._published(root)
        signed: tuple[str, ...] = ()
        if not names:
            self._check(root, self._read(root))  # (1)
            new = {name: self.succession.ensure_next(name) for name in self.roles}
            metadata = self._sign_root(pending, root, new)  # (2)
            if isinstance(metadata, Signing):
                warn_of_expiry(self.tree, self.expiry, now=self.now, report=self.report)
                return Replacement(signing=metadata)
            names, signed = tuple(self.roles), self._publish(root, metadata, new)  # (3)
        if pending.path() is not None and read_pending(pending).signed.version <= read_root(self.tree).version:
            pending.clear()
        replaced = self.succession.take_over()  # (4)
        warn_of_expiry(self.tree, self.expiry, now=self.now, report=self.report)
        return Replacement(signing=None, names=names, signed=signed, replaced=tuple(replaced))

    def _published(self, root: Root) -> tuple[str, ...]:
        """Return the keys of a run that was killed when only their places were left to be changed; none when there was no such run."""
        waiting = tuple(name for name in self.roles if self.succession.waits(name))
        if not waiting:
            return ()
        try:
            state = read_state(self.tree)
        except SignatureInvalidError:
            return ()
        is_trusted = all(
            self.roles[name] in {*TOP_ROLES, *state.delegated}
            and _keyids(root, state, self.roles[name]) == {self.succession.ensure_next(name).keyid}
            for name in waiting
        )
        return waiting if is_trusted else ()

    def _read(self, root: Root) -> State:
        """Return what is published; after a run that was killed between the root and the timestamp, as it was signed under the root before.

        Only with the keys that the root names can what is published be signed again, so whoever has them made that root.
        """
        try:
            return read_state(self.tree)
        except SignatureInvalidError:
            if root.version == 1 or not any(self.succession.waits(name) for name in self.roles):
                raise
            return read_state(self.tree, root=read_root(self.tree, newest=root.version - 1))

    def _check(self, root: Root, state: State) -> None:
        replaced = set(self.roles.values())
        for role in self.roles.values():
            if role not in {*TOP_ROLES, *state.delegated}:
                known = ", ".join([*TOP_ROLES, *state.delegated])
                raise UsageError(f"there is no role {role} in {self.tree.root}", hint=f"Its roles are {known}.")
            for other in sorted({*root.roles, *state.delegated} - replaced):
                if shared := _keyids(root, state, role) & _keyids(root, state, other):
                    hint = f"Replace both at once: a key that {other} still trusts is as good as before."
                    raise UsageError(f"the key {min(shared)} of {role} signs for {other}, too", hint=hint)
        transaction = self._begin(state)
        for role in transaction.roles_to_sign():
            if role not in replaced:
                transaction.check_key(role)

    def _sign_root(self, pending: PendingRoot, before: Root, new: Mapping[str, Key]) -> Metadata[Root] | Signing | None:
        """Return the signed next root, or how far its signing is; None when the present one names the new keys."""
        wanted = deepcopy(before)
        for name, role in self.roles.items():
            if role in TOP_ROLES:
                replace_key(wanted, role, new[name])
        if wanted.roles == before.roles:
            return None
        wanted.version += 1
        wanted.expires = self.expiry.date("root", self.now)
        if pending.path() is None:
            pending.begin(wanted)
        found = read_pending(pending).signed
        if (found.version, found.roles) != (wanted.version, wanted.roles):
            hint = f"Finish that one first, or give it up: rm -r {pending.directory}"
            raise UsageError(f"another change of the root waits to be signed in {pending.directory}", hint=hint)
        sign_with(pending, self.succession.keyring, self.report)
        metadata = read_pending(pending)
        return still_missing(pending, metadata, previous=before) or metadata

    def _publish(self, before: Root, metadata: Metadata[Root] | None, new: Mapping[str, Key]) -> tuple[str, ...]:
        with self.tree.locked():
            if read_root(self.tree).version != before.version:
                raise UsageError(
                    f"the root of {self.tree.root} was renewed meanwhile", hint="Run the command again, to begin anew."
                )
            state = self._read(before)
            state.root = before if metadata is None else metadata.signed
            for name, role in self.roles.items():
                if role not in TOP_ROLES:
                    replace_key(state.targets["targets"], role, new[name])
            transaction = self._begin(state)
            # All keys are opened before the root is there: from then on until the timestamp, devices believe nothing.
            transaction.check_keys()
            if metadata is not None:
                self.report("publish root")
                self.tree.add(metadata_path("root", metadata.signed.version), to_bytes(metadata))
            return (*(("root",) if metadata is not None else ()), *transaction.commit())

    def _begin(self, state: State) -> Transaction:
        transaction = Transaction(
            tree=self.tree, state=state, keys=self.succession, expiry=self.expiry, now=self.now, report=self.report
        )
        for role in self.roles.values():
            transaction.mark_changed(role)
            if role not in TOP_ROLES:
                transaction.mark_changed("targets")
        return transaction


def _role_of(name: str) -> str:
    check_name(name)
    if name.startswith("root-"):
        raise UsageError(f"{name} is a root key", hint="Root keys are replaced by: edge-publish root rotate.")
    return f"m-{name.removeprefix('model-')}" if name.startswith("model-") else name


def _keyids(root: Root, state: State, role: str) -> set[str]:
    delegator: Root | Targets = root if role in root.roles else state.targets["targets"]
    return set(delegator.get_delegated_role(role).keyids)
