"""The metadata that a device keeps between refreshes: whom it trusts by now, and what it has seen.

It lies as python-tuf 7 lays it: ``root_history/N.root.json`` for each root that was followed, ``root.json`` for the newest of them (where
python-tuf 5.1 starts, and under which the rest was seen), ``timestamp.json``, ``snapshot.json`` and a file for each role of targets. Each
is replaced durably, in the order in which it was verified, because a timestamp that a power cut takes away lets an older one in.

Where trust starts is none of these: it is the root that the device was installed with. From there the history is followed as far as each
root is signed by the one before and by itself. So whatever happens to these files can be mended from the host, and costs at most this:

==============================  ===================================================================================================
lost or altered                 what a host that is not honest could do until the next refresh that succeeds
==============================  ===================================================================================================
root.json                       nothing: it is made anew from the history
root_history/N.root.json        keep N and later roots back, and so pass off what was signed with keys that they took away
timestamp.json                  nothing of use: snapshot.json remembers the version of every role of targets
snapshot.json                   nothing of use: timestamp.json remembers the snapshot's version, and each snapshot pins all others
both of these                   show an older state, as long as its timestamp has not expired (a day, as ``edge-publish`` signs)
targets.json, other roles       nothing: the snapshot pins each by version, length and SHA-256
==============================  ===================================================================================================

A device that is given another root to trust, of another repository or of the same one, starts from there; what is signed by nobody that
this root leads to is replaced as if it were broken.
"""

import logging
import re
import shutil
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Timestamp

from edged.errors import TrustError
from edged.files import replace_durably, sync_directory
from edged.store.disk import make_directory

LOG = logging.getLogger(__name__)

_HISTORY: Final = "root_history"
_LEFTOVER: Final = re.compile(r"tmp\w+|\..*\.new")
"""What python-tuf or ``replace_durably`` left half written."""


class KeptMetadata:
    """The directory, while one refresh uses it.

    Args:
        directory: Made when it is not there.
        shipped: The root metadata this device was installed with.

    Raises:
        TrustError: ``shipped`` is not root metadata that is signed by itself.
        OSError: The disk refused.
    """

    def __init__(self, directory: Path, shipped: bytes) -> None:
        trusted = _parse_root(shipped)
        if trusted is None or not _is_signed(trusted, by=trusted.signed):
            raise TrustError(
                "the root metadata of this device is not valid", hint="Install the file repository.root again."
            )
        self.directory = directory
        for place in (directory, directory / _HISTORY):
            if place.is_symlink() or not place.is_dir():
                place.unlink(missing_ok=True)
            make_directory(place)
            _clean(place)
        seen = _parse_root(_read(directory / "root.json"))
        self._newest, self.root = self._follow(trusted, shipped)
        self._seen_version = 0 if seen is None else seen.signed.version
        if seen is not None and self._newest.version > seen.signed.version:
            self._forget_what_lost_its_key(seen.signed, self._newest)
        _put(directory / "root.json", self.root)

    def keep_root(self, root: Root, data: bytes) -> None:
        """Keep a root that was verified.

        Raises:
            OSError: The disk refused.
        """
        before, self._newest, self.root = self._newest, root, data
        # A root that was followed once and comes again, because the history was broken, is no reason to forget what was seen since.
        if root.version > self._seen_version:
            self._forget_what_lost_its_key(before, root)
        _put(self.directory / _HISTORY / f"{root.version}.root.json", data)
        _put(self.directory / "root.json", data)

    def keep(self, role: str, data: bytes) -> None:
        """Keep verified metadata of another role.

        Raises:
            OSError: The disk refused.
        """
        _put(self.path(role), data)

    def path(self, role: str) -> Path:
        """Return where a role's metadata lies, encoded as python-tuf does it."""
        return self.directory / f"{quote(role, '')}.json"

    def _forget_what_lost_its_key(self, before: Root, after: Root) -> None:
        """Forget timestamp and snapshot when a new root takes a key away from either role (TUF specification, 5.3.11).

        Versions that a thief counted up to the sky would keep out what comes after him. It is done before the new root is kept: once it is,
        nothing would tell any more that there was another one.
        """
        roles = (Timestamp.type, Snapshot.type)
        if all(set(before.roles[role].keyids) <= set(after.roles[role].keyids) for role in roles):
            return
        LOG.info("Root %d takes a key of timestamp or snapshot away: what was seen of them is forgotten", after.version)
        for role in roles:
            self.path(role).unlink(missing_ok=True)
        sync_directory(self.directory)

    def _follow(self, trusted: Metadata[Root], data: bytes) -> tuple[Root, bytes]:
        """Follow the history from the shipped root; return the newest root it leads to, and its bytes."""
        while True:
            version = trusted.signed.version + 1
            following_data = _read(self.directory / _HISTORY / f"{version}.root.json")
            following = _parse_root(following_data)
            if (
                following is None
                or following.signed.version != version
                or not _is_signed(following, by=trusted.signed)
                or not _is_signed(following, by=following.signed)
            ):
                return trusted.signed, data
            trusted, data = following, following_data


def _clean(directory: Path) -> None:
    """Remove what a power cut or a broken disk left in the way of files."""
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path.name != _HISTORY:
                shutil.rmtree(path)
        elif _LEFTOVER.fullmatch(path.name):
            path.unlink()


def _parse_root(data: bytes) -> Metadata[Root] | None:
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except RepositoryError as exc:
        if data:
            LOG.info("Not metadata of a root: %s", exc)
        return None
    return metadata if isinstance(metadata.signed, Root) else None


def _is_signed(metadata: Metadata[Root], *, by: Root) -> bool:
    try:
        by.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    except RepositoryError as exc:
        LOG.info("Not a root to trust: %s", exc)
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        # Not there, a directory in its place, or no longer readable: whichever it is, the host has it.
        return b""


def _put(path: Path, data: bytes) -> None:
    if path.is_symlink() or _read(path) != data:
        replace_durably(path, data)
