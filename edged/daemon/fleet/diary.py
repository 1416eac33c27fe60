"""Writes down what the fleet's documents changed, one after the other and without holding up what they change.

What a document orders holds from the moment it was read; that it is kept in ``state.db`` follows within milliseconds, from a thread. A
power cut in between loses nothing: the document is in the store, durable before the daemon saw it, and is read from there again. A disk
that refuses is tried again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from edged.errors import StoreError
from edged.ids import ModelName, Version
from edged.store.history import Entry, Happening
from edged.store.kept import KeptDocument
from edged.store.state import StateDb

LOG = logging.getLogger(__name__)

RETRY_AFTER_S: Final = 10.0
MAX_PENDING: Final = 1000
"""Entries that wait for a disk that refuses; older ones are dropped."""


class Diary:
    """The history of what others than the slot table change, and the documents themselves.

    Args:
        state: Where it is kept.
        unix_s: Wall clock of the records.
    """

    def __init__(self, state: StateDb, unix_s: Callable[[], float]) -> None:
        self._state = state
        self._unix_s = unix_s
        self._entries: list[Entry] = []
        self._documents: dict[str, KeptDocument] = {}
        self._news = asyncio.Event()

    def note(
        self, what: Happening, *, cause: str, model: str = "", version: Version | None = None, reason: str = ""
    ) -> None:
        """Take note of something that happened."""
        entry = Entry(at=self._unix_s(), what=what, model=model, version=str(version or ""), cause=cause, reason=reason)
        self._entries = [*self._entries, entry][-MAX_PENDING:]
        self._news.set()

    def keep(self, document: KeptDocument) -> None:
        """Keep a document in place of the one of its name."""
        self._documents[document.name] = document
        self._news.set()

    def newest(self, among: Sequence[Happening], *, limit: int = MAX_PENDING) -> dict[ModelName, Entry]:
        """Return for each model the newest of some happenings, as far as the last ``limit`` entries tell. Blocking."""
        found: dict[ModelName, Entry] = {}
        for entry in self._state.read_history(limit=limit):
            if entry.what in among:
                found.setdefault(ModelName(entry.model), entry)
        return found

    async def run(self) -> None:
        """Write until cancelled; then once more."""
        try:
            while True:
                await self._news.wait()
                if not await self._write_to_the_end():
                    await asyncio.sleep(RETRY_AFTER_S)
        finally:
            self._put_down(list(self._documents.values()), self._entries)

    async def _write_to_the_end(self) -> bool:
        """Write; being cancelled does not leave open what was written, which would be written again."""
        writing = asyncio.create_task(self.write())
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            raise

    async def write(self) -> bool:
        """Write what there is to write, and tell whether the disk took it."""
        self._news.clear()
        documents, entries = list(self._documents.values()), self._entries
        is_done = await asyncio.to_thread(self._put_down, documents, entries)
        if is_done:
            # What came meanwhile is left for the next time.
            self._entries = [entry for entry in self._entries if not any(entry is done for done in entries)]
            for document in documents:
                if self._documents[document.name] is document:
                    del self._documents[document.name]
        else:
            self._news.set()
        return is_done

    def _put_down(self, documents: Sequence[KeptDocument], entries: Sequence[Entry]) -> bool:
        try:
            for document in documents:
                self._state.write_document(document)
            if entries:
                self._state.write_history(*entries)
        except StoreError as exc:
            LOG.warning("What changed is not written down yet: %s", exc)
            return False
        return True
