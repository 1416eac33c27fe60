"""Decide what the repository really says, with python-tuf (TUF specification 1.0.33), for its versions 5.1 and 7.

Where trust starts: the root metadata this device was installed with. Newer roots are followed one by one; whatever else lies in the
metadata directory only protects against going back, and a broken file there is fetched again.

Stricter than TUF: only the top-level targets role may delegate. So no role has two parents, which python-tuf 5.1 would check against
the first parent only.
"""

import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import signature
from pathlib import Path
from typing import Any, Final

from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import Metadata, Root, TargetFile, Targets
from tuf.api.serialization import DeserializationError
from tuf.ngclient import Updater

from edged.errors import (
    DigestMismatchError,
    FetchError,
    FileMissingError,
    MetadataExpiredError,
    MetadataRollbackError,
    SignatureInvalidError,
    TrustError,
)
from edged.files import hash_bytes, replace_durably, sync_directory
from edged.ids import Digest
from edged.store.install import disk_errors, make_directory
from edged.update.fetcher import GateFetcher, Host

LOG = logging.getLogger(__name__)

_ANCHOR: Final = "anchor.sha256"
_HAS_BOOTSTRAP: Final = "bootstrap" in signature(Updater.__init__).parameters
_DAMAGE_HINT: Final = "The host serves something that was not signed; publish again or check the way to the host."


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedTarget:
    """A target file whose bytes the responsible role signed."""

    path: str
    data: bytes
    digest: Digest


class TrustedRepository:
    """The repository as of one refresh. Made by ``refresh_trust``; used by the same thread."""

    def __init__(self, *, updater: Updater, directory: Path, host: Host, targets_url: str) -> None:
        self._updater = updater
        self._directory = directory
        self._host = host
        self._targets_url = targets_url

    @property
    def expires_unix_s(self) -> float:
        """When the first of all metadata that was looked at expires."""
        expiries: list[datetime] = [role.expires for role in _trusted_set(self._updater)]
        return min(expiries).timestamp()

    def read_timestamp(self) -> bytes:
        """Return the timestamp's bytes.

        Raises:
            StoreError: The disk refused.
        """
        with disk_errors("reading metadata"):
            return (self._directory / "timestamp.json").read_bytes()

    def read_target(self, path: str, *, max_bytes: int, known: bytes = b"") -> TrustedTarget:
        """Return a target's bytes.

        Args:
            path: The target path.
            max_bytes: The most it may have, whoever signed it.
            known: Bytes from an earlier time; nothing is fetched while they still are what is signed.

        Raises:
            FileMissingError: No role lists it, or the host does not have it.
            DigestMismatchError: The host's bytes are not the signed ones.
            TrustError: A role's metadata cannot be trusted.
            FetchError: The host does not answer.
            StoreError: The disk refused.
        """
        with disk_errors("updating metadata"), translated(path):
            # A role that was refused for one path must not stand in the way of the others.
            before = list(_trusted_set(self._updater))
            try:
                info = self._updater.get_targetinfo(path)
            finally:
                _sync(self._directory)
            _check_delegations(self._updater, known=before)
            if info is None:
                raise FileMissingError(f"no role of the repository lists {path}", hint="Publish it.", path=path)
            if "sha256" not in info.hashes or info.length > max_bytes:
                raise TrustError(f"{path} is signed without a SHA-256, or with more than {max_bytes} bytes")
            data = known if _is_signed(info, known) else self._host.read(self._url(info), max_bytes=info.length)
            info.verify_length_and_hashes(data)
        return TrustedTarget(path=path, data=data, digest=hash_bytes(data))

    def _url(self, info: TargetFile) -> str:
        # Consistent snapshots (section 6.2): HASH.NAME in the directory of NAME.
        directory, slash, name = info.path.rpartition("/")
        return f"{self._targets_url}{directory}{slash}{info.hashes['sha256']}.{name}"


def refresh_trust(*, directory: Path, url: str, root: bytes, host: Host, now_unix_s: float) -> TrustedRepository:
    """Fetch and verify the top-level metadata. Blocking.

    Args:
        directory: Where metadata is kept between refreshes.
        url: The repository, with a slash at its end.
        root: The root metadata this device was installed with.
        host: What fetches.
        now_unix_s: The time to judge expiry by.

    Raises:
        MetadataExpiredError: Signed metadata is too old.
        SignatureInvalidError: Metadata is not signed by enough trusted keys.
        MetadataRollbackError: Older metadata than seen before.
        TrustError: Metadata is not what it should be otherwise.
        FetchError: The host does not answer, or not with metadata.
        StoreError: The disk refused.
    """
    with disk_errors("reading metadata"):
        _prepare(directory, root)
    with disk_errors("updating metadata"), translated(f"{url}metadata/"):
        updater = _open_updater(directory, f"{url}metadata/", root, GateFetcher(host))
        # python-tuf has no public way to bring a clock; a device without a battery-backed one wakes up in 1970.
        _trusted_set(updater).reference_time = datetime.fromtimestamp(now_unix_s, UTC)
        try:
            updater.refresh()
        finally:
            _sync(directory)
        _check_delegations(updater)
    return TrustedRepository(updater=updater, directory=directory, host=host, targets_url=f"{url}targets/")


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn python-tuf's errors into edged's.

    Args:
        what: The file or directory that was being read.
    """
    try:
        yield
    except tuf_errors.ExpiredMetadataError as exc:
        raise MetadataExpiredError(
            f"signed metadata is expired: {exc}", hint="Publisher: edge-publish resign. Device: check the clock."
        ) from exc
    except tuf_errors.UnsignedMetadataError as exc:
        raise SignatureInvalidError(f"metadata is not signed as required: {exc}", hint=_DAMAGE_HINT) from exc
    except tuf_errors.BadVersionNumberError as exc:
        hint = "The host serves an older state than before; check whether it was restored from a backup."
        raise MetadataRollbackError(f"metadata of a wrong version: {exc}", hint=hint) from exc
    except (tuf_errors.LengthOrHashMismatchError, tuf_errors.DownloadLengthMismatchError) as exc:
        raise DigestMismatchError(f"{what}: {exc}", hint=_DAMAGE_HINT) from exc
    except DeserializationError as exc:
        raise TrustError(f"{what}: metadata cannot be read: {exc}", hint=_DAMAGE_HINT) from exc
    except tuf_errors.RepositoryError as exc:
        raise TrustError(f"{what}: {exc}", hint=_DAMAGE_HINT) from exc
    except tuf_errors.DownloadHTTPError as exc:
        raise FileMissingError(str(exc), hint="Check repository.url, and whether everything was published.") from exc
    except tuf_errors.DownloadError as exc:
        raise FetchError(f"{what}: {exc}") from exc


def _prepare(directory: Path, root: bytes) -> None:
    """Make what python-tuf starts from; remove what a power cut or a broken disk left in its way."""
    _check_root(root)
    make_directory(directory)
    for path in directory.iterdir():
        if path.name == "root_history" and path.is_dir():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif re.fullmatch(r"tmp\w+|root_history", path.name):
            path.unlink()
    if _HAS_BOOTSTRAP:
        return
    # 5.1 starts from root.json. That is the newest root seen, unless it is broken or the device was given another root to trust.
    anchor, newest = directory / _ANCHOR, directory / "root.json"
    is_same = anchor.is_file() and anchor.read_bytes() == hash_bytes(root).encode()
    if not is_same or not _is_root(_read_if_there(newest)):
        newest.unlink(missing_ok=True)
        replace_durably(newest, root)
        replace_durably(anchor, hash_bytes(root).encode())


def _check_root(root: bytes) -> None:
    if not _is_root(root):
        raise TrustError(
            "the root metadata of this device is not valid", hint="Install the file repository.root again."
        )


def _is_root(data: bytes) -> bool:
    try:
        root: Metadata[Root] = Metadata.from_bytes(data)
        if not isinstance(root.signed, Root):
            return False
        root.signed.verify_delegate(Root.type, root.signed_bytes, root.signatures)
    except (ValueError, tuf_errors.RepositoryError) as exc:
        LOG.info("not root metadata: %s", exc)
        return False
    return True


def _read_if_there(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _open_updater(directory: Path, url: str, root: bytes, fetcher: GateFetcher) -> Updater:
    options: dict[str, Any] = {"bootstrap": root} if _HAS_BOOTSTRAP else {}
    return Updater(str(directory), url, fetcher=fetcher, **options)


def _trusted_set(updater: Updater) -> Any:
    return updater._trusted_set  # noqa: SLF001 - neither the clock nor the verified roles can be reached otherwise


def _check_delegations(updater: Updater, known: Sequence[object] = ()) -> None:
    """Refuse every delegation but the plain one from targets.

    Args:
        updater: Whose roles to look at.
        known: Roles that were looked at before.

    Raises:
        TrustError: A delegated role delegates, or targets delegates to hash bins.
    """
    trusted = _trusted_set(updater)
    for role in trusted:  # unlike other mappings it iterates over its values
        if any(role is other for other in known):
            continue
        if isinstance(role, Targets) and role.delegations is not None:
            if role is not trusted.targets:
                raise TrustError(
                    "a delegated role delegates further, which is not allowed", hint="Delegate from targets."
                )
            if role.delegations.roles is None:
                raise TrustError("targets delegates to hash bins, which is not allowed", hint="Delegate by name.")


def _is_signed(info: TargetFile, data: bytes) -> bool:
    return len(data) == info.length and hash_bytes(data) == info.hashes["sha256"]


def _sync(directory: Path) -> None:
    """Make metadata durable; python-tuf replaces files without fsync, and a lost timestamp loses rollback protection."""
    for parent in (directory / "root_history", directory):
        if parent.is_dir():
            for path in parent.iterdir():
                if path.is_file():
                    _sync_file(path)
            sync_directory(parent)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
