"""Make the next version of a repository's root: with other root keys, or with the same ones for another year.

Devices accept it when enough keys of the root they have and enough keys of the new one have signed it (TUF specification, 5.3). Each
signature is made with a key that the new root names, so at most as many keys can be replaced at once as leave enough of the old ones.
Signatures are gathered as for the first root, and running it again is how it goes on.
"""

from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.metadata import Root

from edged.errors import UsageError
from edged.publish.keys.signers import Signers
from edged.publish.repository.changing import (
    DEFAULT_EXPIRY,
    Report,
    check_place,
    check_repository,
    quiet,
    warn_of_expiry,
)
from edged.publish.repository.roles import TOP_ROLES, Expiry
from edged.publish.repository.state import metadata_path, read_root
from edged.publish.repository.tree import Tree
from edged.publish.root.founding import Signing, check_root_keys, read_pending, sign_with, still_missing
from edged.publish.root.pending import PendingRoot, to_bytes

SHORTEST_KEYID = 8
"""So many digits of a key ID are enough to name a key."""


def rotate_root(
    directory: Path,
    keys: Signers | None,
    *,
    add: Sequence[Key] = (),
    drop: Sequence[str] = (),
    threshold: int | None = None,
    now: datetime,
    expiry: Expiry = DEFAULT_EXPIRY,
    report: Report = quiet,
) -> Signing:
    """Publish the next root as soon as enough holders have signed it.

    Args:
        directory: The repository.
        keys: Root keys among them sign at once; None when none is here.
        add: Root keys that are new.
        drop: IDs of root keys that are trusted no more, or their beginnings.
        threshold: How many root keys must sign from now on; None for as many as before.
        now: UTC.
        expiry: How long the signatures hold.
        report: Told one line for each step.

    Raises:
        UsageError: No repository, no such key, the numbers make no sense, or the change that is pending is another one.
        SignatureInvalidError: A signature that was handed in is not good.
        TrustError: The repository was altered, or the pending root cannot be read.
        UnavailableError: Another publisher is at work in it.
    """
    tree = Tree(directory)
    check_repository(tree)
    if keys is not None:
        check_place(tree, keys)
    with tree.working():
        before = read_root(tree)
        pending = PendingRoot.beside(directory)
        if pending.path() is not None and read_pending(pending).signed.version <= before.version:
            # Published by a run that was killed before it could say so.
            pending.clear()
            return Signing(root=before, signed=(), missing=0, path=None)
        if pending.path() is None:
            pending.begin(_next_root(before, add, drop, threshold, expires=expiry.date("root", now)))
        elif add or drop or threshold is not None:
            wanted = _next_root(before, add, drop, threshold, expires=before.expires).roles[Root.type]
            found = read_pending(pending).signed.roles[Root.type]
            if (set(wanted.keyids), wanted.threshold) != (set(found.keyids), found.threshold):
                hint = f"Finish that one first, or give it up: rm -r {pending.directory}"
                raise UsageError(f"another change of the root waits to be signed in {pending.directory}", hint=hint)
        _check_roles(read_pending(pending).signed, before, pending)
        if keys is not None:
            sign_with(pending, keys, report)
        metadata = read_pending(pending)
        if signing := still_missing(pending, metadata, previous=before):
            warn_of_expiry(tree, expiry, now=now, report=report)
            return signing
        with tree.locked():
            if read_root(tree).version != before.version:
                hint = f"Give this one up and begin anew: rm -r {pending.directory}"
                raise UsageError(f"the root of {directory} was renewed meanwhile", hint=hint)
            tree.add(metadata_path("root", metadata.signed.version), to_bytes(metadata))
        pending.clear()
    warn_of_expiry(tree, expiry, now=now, report=report)
    return Signing(root=metadata.signed, signed=tuple(metadata.signatures), missing=0, path=None, is_changed=True)


def _check_roles(root: Root, before: Root, pending: PendingRoot) -> None:
    """Make sure that a pending root changes none but the root's own keys: what the others sign would have to be signed again."""
    if any(root.roles[role].keyids != before.roles[role].keyids for role in TOP_ROLES):
        hint = f"Finish that with edge-publish keys replace, or give it up: rm -r {pending.directory}"
        raise UsageError(f"the root that waits in {pending.directory} replaces keys of other roles", hint=hint)


def _next_root(
    before: Root, add: Sequence[Key], drop: Sequence[str], threshold: int | None, *, expires: datetime
) -> Root:
    root = deepcopy(before)
    role = root.roles[Root.type]
    for beginning in drop:
        root.revoke_key(_find(role.keyids, beginning), Root.type)
    for key in add:
        if key.keyid in role.keyids:
            raise UsageError(f"the root key {key.keyid} is there already", hint="Name the public part of the new key.")
        root.add_key(key, Root.type)
    if threshold is not None:
        role.threshold = threshold
    check_root_keys([root.keys[keyid] for keyid in role.keyids], role.threshold)
    stay = len(set(role.keyids) & set(before.roles[Root.type].keyids))
    if stay < before.roles[Root.type].threshold:
        hint = "Replace fewer keys at once: those that stay have to sign the change."
        raise UsageError(f"only {stay} of the present root keys would stay, too few to sign the change", hint=hint)
    root.version += 1
    root.expires = expires
    return root


def _find(keyids: Sequence[str], beginning: str) -> str:
    found = [keyid for keyid in keyids if keyid.startswith(beginning.lower().replace(" ", ""))]
    if len(beginning) < SHORTEST_KEYID or len(found) != 1:
        hint = f"Give at least {SHORTEST_KEYID} digits of one of: {', '.join(keyids)}"
        raise UsageError(f"{beginning!r} does not name one root key", hint=hint)
    return found[0]
