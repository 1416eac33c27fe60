"""Found a repository whose root keys are held by several people: make the root, gather their signatures, publish it when they suffice.

Running it again is how it goes on: what was made stays, each run takes in the signatures that were handed in since, and the one that
finds enough of them makes the repository.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root

from edged.errors import UsageError
from edged.publish.keys.signers import Signers
from edged.publish.repository.changing import DEFAULT_EXPIRY, Report, check_place, quiet
from edged.publish.repository.operations import init_repository, make_first_root
from edged.publish.repository.roles import Expiry
from edged.publish.repository.state import metadata_path
from edged.publish.repository.tree import Tree
from edged.publish.root.pending import PendingRoot, parse_root, to_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """How far the signing of a root is."""

    root: Root
    signed: tuple[str, ...]
    """Key IDs, in the root's order."""
    missing: int
    """How many more keys have to sign."""
    path: Path | None
    """The file that waits for them; None when it is published."""
    is_changed: bool = False
    """Whether devices will see anything new."""


def begin_founding(
    directory: Path, keys: Signers, root_public: Sequence[Key], *, threshold: int, now: datetime, expiry: Expiry
) -> frozenset[str]:
    """Make the root that is to be signed, unless it was made before, and return the IDs of the keys that have signed it.

    Args:
        directory: The repository to be.
        keys: Ends up with one key for each role but root.
        root_public: The root keys.
        threshold: How many of them must sign a root.
        now: UTC.
        expiry: How long the signatures hold.

    Raises:
        UsageError: The numbers make no sense, or a root of other keys is pending.
        SignatureInvalidError: A signature that was handed in is not good.
        TrustError: The pending root cannot be read.
    """
    check_root_keys(root_public, threshold)
    tree = Tree(directory)
    check_place(tree, keys)
    pending = PendingRoot.beside(directory)
    if tree.has(metadata_path("root", 1)):
        return frozenset()
    if pending.path() is None:
        pending.begin(make_first_root(keys, root_public, threshold, expires=expiry.date("root", now)))
    metadata = read_pending(pending)
    role = metadata.signed.roles[Root.type]
    same_keys = set(role.keyids) == {key.keyid for key in root_public}
    if metadata.signed.version != 1 or not same_keys or role.threshold != threshold:
        hint = f"Name the same keys as before, or begin anew: rm -r {pending.directory}"
        raise UsageError(f"{pending.directory} holds a root of other keys that waits to be signed", hint=hint)
    return frozenset(metadata.signatures)


def finish_founding(
    directory: Path,
    keys: Signers,
    root_public: Sequence[Key],
    *,
    threshold: int,
    now: datetime,
    expiry: Expiry = DEFAULT_EXPIRY,
    report: Report = quiet,
) -> Signing:
    """Make the repository if enough holders have signed its root.

    Args:
        directory: The repository; made when it is not there.
        keys: As ``begin_founding`` left them.
        root_public: As for ``begin_founding``.
        threshold: As for ``begin_founding``.
        now: UTC.
        expiry: How long the signatures hold.
        report: Told one line for each step.

    Raises:
        SignatureInvalidError: A signature that was handed in is not good.
        TrustError: The pending root cannot be read; or as ``init_repository``.
        UsageError: As ``init_repository``.
    """
    tree = Tree(directory)
    pending = PendingRoot.beside(directory)
    data = None
    if not tree.has(metadata_path("root", 1)):
        metadata = read_pending(pending)
        if signing := still_missing(pending, metadata, previous=None):
            return signing
        data = to_bytes(metadata)
    result = init_repository(
        directory,
        keys,
        now=now,
        root_count=len(root_public),
        root_threshold=threshold,
        root=data,
        expiry=expiry,
        report=report,
    )
    pending.clear()
    published = parse_root(tree.read(metadata_path("root", 1)), directory)
    return Signing(
        root=published.signed,
        signed=tuple(published.signatures),
        missing=0,
        path=None,
        is_changed=result.is_changed,
    )


def found_repository(
    directory: Path,
    keys: Signers,
    root_public: Sequence[Key],
    *,
    threshold: int,
    now: datetime,
    expiry: Expiry = DEFAULT_EXPIRY,
    report: Report = quiet,
) -> Signing:
    """Begin, sign with the root keys that are here, and finish if that is enough; the arguments are those of the two."""
    begin_founding(directory, keys, root_public, threshold=threshold, now=now, expiry=expiry)
    pending = PendingRoot.beside(directory)
    if pending.path() is not None:
        sign_with(pending, keys, report)
    return finish_founding(directory, keys, root_public, threshold=threshold, now=now, expiry=expiry, report=report)


def check_root_keys(root_public: Sequence[Key], threshold: int) -> None:
    """Make sure that these keys can be the root of a repository.

    Raises:
        UsageError: A key is there twice, or the threshold cannot be reached.
    """
    ids = [key.keyid for key in root_public]
    if twice := next((keyid for keyid in ids if ids.count(keyid) > 1), None):
        raise UsageError(f"the root key {twice} is there twice", hint="Every holder has a key of their own.")
    if not 1 <= threshold <= len(ids):
        raise UsageError(
            f"{threshold} of {len(ids)} root keys cannot sign", hint="Use a threshold from 1 to the number of keys."
        )


def sign_with(pending: PendingRoot, keys: Signers, report: Report) -> None:
    """Sign the pending root with those of its root keys that are here and have not signed."""
    metadata = read_pending(pending)
    wanted = set(metadata.signed.roles[Root.type].keyids) - metadata.signatures.keys()
    for name in (n for n in keys.names() if n.startswith("root-")):
        # The public part first: nobody is asked for the passphrase of a key that is not needed.
        if keys.ensure(name).keyid in wanted:
            report(f"sign root with {name}")
            pending.sign(keys.signer(name))


def still_missing(pending: PendingRoot, metadata: Metadata[Root], *, previous: Root | None) -> Signing | None:
    """Say which signatures a pending root lacks, or None when it has enough for its predecessor and for itself."""
    root = metadata.signed
    result = root.get_root_verification_result(previous, metadata.signed_bytes, metadata.signatures)
    if result.verified:
        return None
    signed = tuple(keyid for keyid in root.roles[Root.type].keyids if keyid in metadata.signatures)
    missing = max(result.first.missing, result.second.missing)
    return Signing(root=root, signed=signed, missing=missing, path=pending.path())


def read_pending(pending: PendingRoot) -> Metadata[Root]:
    """Return the root that is known to be pending, with its signatures."""
    metadata = pending.read()
    if metadata is None:
        raise AssertionError("a root was pending a moment ago")
    return metadata
