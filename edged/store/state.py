"""What the daemon must remember across a power cut, in SQLite: slots, refusals, trials, documents and the history of it all.

A committed transaction is on the disk (``edged.store.schema``). One writer, the daemon. Every change of a model's slots is one
transaction together with its history, its refusal and its trial, so that they never disagree.
"""

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from edged.errors import StoreError
from edged.ids import Digest, ModelName, SlotName
from edged.store import rows
from edged.store.history import Entry
from edged.store.kept import KeptDocument, KeptTrial, KeptVariant, Place, Refused
from edged.store.schema import prepare
from edged.store.slots import Slots

LOG = logging.getLogger(__name__)

MAX_HISTORY: Final = 10_000
"""Entries; older ones are forgotten."""
_DISK_HINT: Final = "Check free space and health of the disk."


class StateDb:
    """The daemon's ``state.db``. Blocking; may be called from any thread, and calls wait for each other."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._turn = threading.Lock()
        self._told: Callable[[Sequence[Entry]], None] = lambda _entries: None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create the database. A damaged one is set aside: the slots are then built anew from the store.

        Raises:
            StoreError: It cannot be opened, or was written by a newer edged.
        """
        try:
            return cls._open(path)
        except (sqlite3.DatabaseError, ValueError) as exc:
            LOG.error("%s is damaged and set aside: %s", path, exc)  # noqa: TRY400 - the operator needs the sentence
        for name in (path.name, f"{path.name}-wal"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(name).replace(path.with_name(f"{name}.damaged"))
        return cls._open(path)

    @classmethod
    def _open(cls, path: Path) -> Self:
        with contextlib.ExitStack() as undo:
            try:
                connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                undo.callback(connection.close)
                prepare(connection, path)
                state = cls(connection)
                state.read_slots()
                state.read_refusals()
                state.read_trials()
                state.read_documents()
                state.read_variants()
            except sqlite3.OperationalError as exc:
                raise StoreError(f"{path} cannot be opened: {exc}", hint=_DISK_HINT) from exc
            undo.pop_all()
        return state

    def close(self) -> None:
        """Close the database, once no other thread uses it: SQLite does not survive that."""
        with self._turn:
            self._connection.close()

    def on_history(self, told: Callable[[Sequence[Entry]], None]) -> None:
        """Have somebody told of entries of the history once they are durable, in whichever thread wrote them; they have no IDs yet."""
        self._told = told

    def read_slots(self) -> dict[ModelName, Slots]:
        """Return the slots of every model that ever had one."""
        models: dict[ModelName, Slots] = {}
        for row in self._select(rows.SLOTS):
            model, name, is_active, slot = rows.to_slot(row)
            before = models.get(model, Slots())
            models[model] = Slots(
                a=slot if name == "a" else before.a,
                b=slot if name == "b" else before.b,
                active=name if is_active else before.active,
            )
        return models

    def write_model(
        self,
        model: ModelName,
        slots: Slots,
        *,
        trials: Mapping[SlotName, KeptTrial],
        entries: Sequence[Entry],
        refused: Refused | None = None,
        lifted: Collection[Digest] = (),
    ) -> None:
        """Make everything that belongs to one change of a model durable, in one transaction.

        Args:
            model: The model.
            slots: Its slots from now on.
            trials: Its candidate and its trial from now on, by slot.
            entries: What happened, for the history; their IDs are given here.
            refused: The bundle that this change turns down, if it does.
            lifted: Bundles that are no longer turned down.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        with self._change(f"the state of {model}") as connection:
            connection.execute("DELETE FROM slots WHERE model = ?", (model,))
            _insert(connection, "slots", [rows.of_slot(model, name, slots) for name in ("a", "b")])
            connection.execute("DELETE FROM trials WHERE model = ?", (model,))
            _insert(connection, "trials", [rows.of_trial((model, name), trial) for name, trial in trials.items()])
            _insert(connection, "refusals", [] if refused is None else [rows.of_refusal(refused)])
            connection.executemany("DELETE FROM refusals WHERE digest = ?", [(digest,) for digest in lifted])
            _append(connection, entries)
        self._told(entries)

    def read_refusals(self) -> Mapping[Digest, Refused]:
        """Return every bundle turned down on this device, by manifest digest."""
        refused = map(rows.to_refusal, self._select(rows.REFUSALS))
        return {item.digest: item for item in refused}

    def read_trials(self) -> dict[Place, KeptTrial]:
        """Return the candidate or trial in every slot that has one."""
        return dict(map(rows.to_trial, self._select(rows.TRIALS)))

    def write_trials(self, trials: Mapping[Place, KeptTrial]) -> None:
        """Bring the rows of some candidates and trials up to date; of those only that are there.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        with self._change("the state of a trial") as connection:
            for place, trial in trials.items():
                if connection.execute("DELETE FROM trials WHERE model = ? AND slot = ?", place).rowcount:
                    _insert(connection, "trials", [rows.of_trial(place, trial)])

    def read_variants(self) -> Sequence[KeptVariant]:
        """Return what is known about variants."""
        return list(map(rows.to_variant, self._select(rows.VARIANTS)))

    def write_variants(self, variants: Sequence[KeptVariant]) -> None:
        """Keep this about variants, and nothing about others.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        with self._change("what is known about variants") as connection:
            connection.execute("DELETE FROM variants")
            _insert(connection, "variants", list(map(rows.of_variant, variants)))

    def read_documents(self) -> Mapping[str, KeptDocument]:
        """Return the last good document of each name."""
        kept = map(rows.to_document, self._select(rows.DOCUMENTS))
        return {document.name: document for document in kept}

    def write_document(self, document: KeptDocument, *, entries: Sequence[Entry] = ()) -> None:
        """Keep a document in place of the one of its name, with the history that belongs to it.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        with self._change(f"the document {document.name}") as connection:
            _insert(connection, "documents", [rows.of_document(document)])
            _append(connection, entries)
        self._told(entries)

    def read_history(self, *, model: str = "", limit: int = 100) -> list[Entry]:
        """Return what happened, newest first; an empty ``model`` means all."""
        return list(map(rows.to_entry, self._select(rows.NEWEST_ENTRIES, model, limit)))

    def write_history(self, *entries: Entry) -> None:
        """Keep what happened, in this order; IDs are given here.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        with self._change("the history") as connection:
            _append(connection, entries)
        self._told(entries)

    def _select(self, query: str, *values: object) -> list[rows.Row]:
        with self._turn:
            return self._connection.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _change(self, what: str) -> Iterator[sqlite3.Connection]:
        try:
            with self._turn, self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        except sqlite3.Error as exc:
            raise StoreError(f"{what} cannot be written: {exc}", hint=_DISK_HINT) from exc


def _insert(connection: sqlite3.Connection, table: str, values: Sequence[rows.Row]) -> None:
    if not values:
        return
    places = ", ".join("?" * len(values[0]))
    connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({places})", values)  # noqa: S608 - our own names


def _append(connection: sqlite3.Connection, entries: Sequence[Entry]) -> None:
    _insert(connection, "history", [rows.of_entry(entry) for entry in entries])
    connection.execute("DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - ?", (MAX_HISTORY,))
