"""The fleet's documents in force on this device: always the last ones that could be read whole.

Rules:

(1) boot       what ``state.db`` kept is in force at once, whatever became of the store
(2) changed    a file of the store is read when it is not the one that was read before; all of a document takes effect together
(3) damaged    what cannot be read, or does not follow its type, changes nothing and is reported once
(4) missing    a file that is gone changes nothing: an empty store lifts no stop
(5) older      a stop document whose serial is not higher than that of the one in force is none (``edged.ops.documents``)
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged import journal
from edged.codec import Document, encode_canonical
from edged.daemon.fleet.diary import Diary
from edged.errors import DocumentError, EdgedError
from edged.files import hash_bytes, read_limited
from edged.ids import Digest
from edged.ops.documents import KINDS, DocumentName, Kind, is_newer, merged
from edged.store.history import Happening
from edged.store.kept import KeptDocument
from edged.store.state import StateDb

LOG = logging.getLogger(__name__)

DIGEST_SHOWN: Final = 8
"""Digits of a document's digest that tell it from others in the history."""
NO_CAUSE: Final = "no document"


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A document and where it came from."""

    document: Document
    digest: Digest
    cause: str
    """For the history: ``rollout 3f9c0d2e``."""


class Documents:
    """Reads them from the store.

    Args:
        directory: ``ops`` of the store.
        state: Read once, for what was in force before.
        diary: Writes down what is taken from now on.
        unix_s: Wall clock of the records.
    """

    def __init__(self, directory: Path, state: StateDb, diary: Diary, unix_s: Callable[[], float]) -> None:
        self._directory = directory
        self._diary = diary
        self._unix_s = unix_s
        self._in_force: dict[DocumentName, InForce] = {}
        self._files: dict[DocumentName, tuple[int, int, int]] = {}
        """What was read last of each name: inode, size, nanoseconds of its last change."""
        self._complaints: dict[DocumentName, tuple[str, ...]] = {}
        kept = state.read_documents()
        for kind in KINDS:  # (1)
            if kind.name in kept:
                self._restore(kind, kept[kind.name])

    def get(self, name: DocumentName) -> InForce | None:
        """Return the document of a name that is in force."""
        return self._in_force.get(name)

    def complaint(self, name: DocumentName) -> Sequence[str]:
        """Return what is wrong with the document that should be in force instead, a line each; empty when nothing is."""
        return self._complaints.get(name, ())

    def look(self) -> frozenset[DocumentName]:
        """Read what has changed in the store; returns the names of those that are others now. Blocking."""
        return frozenset(kind.name for kind in KINDS if self._look(kind))

    def _restore(self, kind: Kind, kept: KeptDocument) -> None:
        try:
            document = kind.parse(kept.data, source=f"{kind.name} in state.db")
        except EdgedError as exc:
            self._complain(kind, exc)
            return
        self._in_force[kind.name] = InForce(document=document, digest=kept.digest, cause=_cause(kind, kept.digest))

    def _look(self, kind: Kind) -> bool:
        path = self._directory / kind.file
        try:
            status = path.stat()
            file = (status.st_ino, status.st_size, status.st_mtime_ns)
            if self._files.get(kind.name) == file:  # (2)
                return False
            data = read_limited(path, max_bytes=kind.max_bytes)
            self._files[kind.name] = file
            document = kind.parse(data, source=str(path))
        except FileNotFoundError:  # (4)
            self._files.pop(kind.name, None)
            return False
        except (EdgedError, OSError) as exc:  # (3)
            if isinstance(exc, OSError):
                # Once it can be read again, the complaint is over, also about a file that is the same.
                self._files.pop(kind.name, None)
            self._complain(kind, exc)
            return False
        self._complaints.pop(kind.name, None)
        return self._take(kind, document, data)

    def _take(self, kind: Kind, document: Document, data: bytes) -> bool:
        before = self._in_force.get(kind.name)
        old = None if before is None else before.document
        if document == old or not is_newer(document, old):  # (5)
            return False
        document = merged(document, old)
        if document == old:
            return False
        # Floors are put together from many documents, so what is kept of them is not what was read.
        kept = encode_canonical(document) if kind.name == "standing" else data
        digest = hash_bytes(kept)
        cause = _cause(kind, digest)
        self._in_force[kind.name] = InForce(document=document, digest=digest, cause=cause)
        self._diary.keep(KeptDocument(name=kind.name, digest=digest, data=kept, taken_unix_s=self._unix_s()))
        if kind.name != "standing":  # which is written every few minutes, and says nothing to people
            self._diary.note(Happening.DOCUMENT_TAKEN, cause=cause)
            journal.event(LOG, journal.DOCUMENT_TAKEN, document=kind.name, digest=digest)
        return True

    def _complain(self, kind: Kind, why: EdgedError | OSError) -> None:
        lines = why.lines if isinstance(why, DocumentError) else (str(why),)
        if self._complaints.get(kind.name) == lines:
            return
        self._complaints[kind.name] = lines
        reason = str(why)
        self._diary.note(Happening.DOCUMENT_REFUSED, cause=kind.name, reason=reason)
        journal.event(LOG, journal.DOCUMENT_REFUSED, document=kind.name, reason=reason)


def _cause(kind: Kind, digest: Digest) -> str:
    return f"{kind.name} {digest[:DIGEST_SHOWN]}"
