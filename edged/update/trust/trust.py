"""Decide what the repository really says (TUF specification 1.0.34, section 5), with python-tuf 5.1 or 7.

Where trust starts: the root metadata this device was installed with. Newer roots are followed one by one; whatever else the device keeps
protects against going back, and a broken file there is fetched again (``edged.update.trust.kept_metadata`` tells what each one is good
for).

Stricter than TUF: only the top-level targets role may delegate, and a target must be signed with a SHA-256 or SHA-512. As strict as
python-tuf: metadata with a key of a type or scheme that it does not know, a number that is not whole, or two signatures under one key ID
is not read at all, so a new kind of key has to wait until the devices know it. Fields that nobody knows are accepted, as TUF asks.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import TargetFile
from tuf.api.serialization import DeserializationError

from edged.errors import (
    DigestMismatchError,
    FetchError,
    FileMissingError,
    MetadataExpiredError,
    MetadataRollbackError,
    SignatureInvalidError,
    TrustError,
)
from edged.files import hash_bytes
from edged.ids import Digest
from edged.store.disk import disk_errors
from edged.update.origins.origin import Origin
from edged.update.trust.kept_metadata import KeptMetadata
from edged.update.trust.tuf_updater import TufUpdater

_STRONG: Final = ("sha256", "sha512")
"""Hashes that a target is believed by, in order of preference."""
_DAMAGE_HINT: Final = "The host serves something that was not signed; publish again or check the way to the host."


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedTarget:
    """A target file whose bytes the responsible role signed."""

    path: str
    data: bytes
    digest: Digest


class TrustedRepository:
    """The repository as of one refresh. Made by ``refresh_trust``; used by the same thread."""

    def __init__(self, *, updater: TufUpdater, kept: KeptMetadata, origin: Origin, targets_url: str) -> None:
        self._updater = updater
        self._kept = kept
        self._origin = origin
        self._targets_url = targets_url

    @property
    def expires_unix_s(self) -> float:
        """When the first of all metadata that was looked at expires."""
        return min(signed.expires for signed in self._updater.trusted()).timestamp()

    def read_timestamp(self) -> bytes:
        """Return the timestamp's bytes.

        Raises:
            StoreError: The disk refused.
        """
        with disk_errors("reading metadata"):
            return self._kept.path("timestamp").read_bytes()

    def lists(self, path: str) -> bool:
        """Tell whether a role lists a target; the role's metadata is fetched for that, the target is not.

        Raises:
            TrustError: A role's metadata cannot be trusted.
            FetchError: The host does not answer.
            StoreError: The disk refused.
        """
        with disk_errors("updating metadata"), translated(path):
            return self._updater.get_targetinfo(path) is not None

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
            info = self._updater.get_targetinfo(path)
            if info is None:
                raise FileMissingError(f"no role of the repository lists {path}", hint="Publish it.", path=path)
            if not info.hashes.keys() & set(_STRONG) or info.length > max_bytes:
                raise TrustError(f"{path} is signed without a SHA-256 or SHA-512, or with more than {max_bytes} bytes")
            data = known if _is_signed(info, known) else self._origin.read(self._url(info), max_bytes=info.length)
            info.verify_length_and_hashes(data)
        return TrustedTarget(path=path, data=data, digest=hash_bytes(data))

    def custom_of(self, role: str) -> dict[str, Mapping[str, Any]]:
        """Return what a role says about its targets beside size and digest: ``custom``, which TUF leaves to its users, by target path.

        Targets without it are left out; it is empty as long as no target of the role was looked up.
        """
        metadata = self._updater.targets_of(role)
        targets = metadata.targets if metadata is not None else {}
        parts = {path: info.unrecognized_fields.get("custom") for path, info in targets.items()}
        return {path: custom for path, custom in parts.items() if isinstance(custom, dict)}

    def _url(self, info: TargetFile) -> str:
        if not self._updater.root.consistent_snapshot:
            return f"{self._targets_url}{info.path}"
        # Consistent snapshots (section 6.2): HASH.NAME in the directory of NAME.
        directory, slash, name = info.path.rpartition("/")
        digest = next(info.hashes[algorithm] for algorithm in _STRONG if algorithm in info.hashes)
        return f"{self._targets_url}{directory}{slash}{digest}.{name}"


def refresh_trust(
    *, directory: Path, url: str, root: bytes, host: Origin, now_unix_s: float, may_nest: bool = False
) -> TrustedRepository:
    """Fetch and verify the top-level metadata. Blocking.

    Args:
        directory: Where metadata is kept between refreshes.
        url: The repository, with a slash at its end.
        root: The root metadata this device was installed with.
        host: Where files come from.
        now_unix_s: The time to judge expiry by.
        may_nest: Allow all delegations that TUF allows, for repositories that were not made by ``edge-publish``.

    Raises:
        MetadataExpiredError: Signed metadata is too old.
        SignatureInvalidError: Metadata is not signed by enough trusted keys.
        MetadataRollbackError: Older metadata than seen before.
        TrustError: Metadata is not what it should be otherwise.
        FetchError: The host does not answer, or not with metadata.
        StoreError: The disk refused.
    """
    with disk_errors("reading metadata"):
        kept = KeptMetadata(directory, root)
    with disk_errors("updating metadata"), translated(f"{url}metadata/"):
        updater = TufUpdater(kept=kept, url=f"{url}metadata/", origin=host, now_unix_s=now_unix_s, may_nest=may_nest)
        updater.refresh()
    return TrustedRepository(updater=updater, kept=kept, origin=host, targets_url=f"{url}targets/")


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
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
        # Signed, but not by somebody who means well: python-tuf looks at the form of most fields, not of all.
        raise TrustError(f"{what}: metadata makes no sense: {exc!r}", hint=_DAMAGE_HINT) from exc


def _is_signed(info: TargetFile, data: bytes) -> bool:
    try:
        info.verify_length_and_hashes(data)
    except tuf_errors.LengthOrHashMismatchError:
        return False
    return True
