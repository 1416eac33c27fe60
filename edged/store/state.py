"""What the daemon must remember across a power cut: slots, refusals and the audit trail, in SQLite.

WAL with ``synchronous=FULL``: a committed transaction is on the disk. One writer, the daemon. Every change of a model's slots is one
transaction together with its audit line, so the two never disagree.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, cast

from edged.errors import StoreError
from edged.ids import Digest, ModelName, SlotName, Version
from edged.store.slots import Content, Slot, Slots, SlotState

LOG = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 1
_DISK_HINT: Final = "Check free space and health of the disk."
_SCHEMA: Final = """
CREATE TABLE slots (
    model TEXT NOT NULL,
    slot TEXT NOT NULL CHECK (slot IN ('a', 'b')),
    state TEXT NOT NULL,
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    version TEXT,
    digest TEXT,
    variant TEXT,
    reason TEXT NOT NULL,
    changed_unix_s REAL NOT NULL,
    PRIMARY KEY (model, slot)
) STRICT;
CREATE UNIQUE INDEX one_active_slot ON slots (model) WHERE is_active = 1;
CREATE TABLE refusals (
    digest TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    reason TEXT NOT NULL,
    at_unix_s REAL NOT NULL
) STRICT;
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at_unix_s REAL NOT NULL,
    model TEXT NOT NULL,
    what TEXT NOT NULL,
    cause TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A bundle this device tried and will not try again by itself."""

    model: ModelName
    version: Version
    digest: Digest
    reason: str
    at_unix_s: float


class StateDb:
    """The daemon's ``state.db``. Blocking; one call at a time, from any thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

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
                # Threads of a pool take turns: each call is awaited before the next.
                connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                undo.callback(connection.close)
                _prepare(connection, path)
                state = cls(connection)
                state.read_slots()
                state.read_refusals()
            except sqlite3.OperationalError as exc:
                raise StoreError(f"{path} cannot be opened: {exc}", hint=_DISK_HINT) from exc
            undo.pop_all()
        return state

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def read_slots(self) -> dict[ModelName, Slots]:
        """Return the slots of every model that ever had one."""
        models: dict[ModelName, Slots] = {}
        for row in self._connection.execute(
            "SELECT model, slot, state, is_active, version, digest, variant, reason, changed_unix_s FROM slots ORDER BY model, slot"
        ):
            model, name, state, is_active, version, digest, variant, reason, changed = row
            content = (
                None
                if digest is None
                else Content(version=Version.parse(version), digest=Digest(digest), variant=variant)
            )
            slot = Slot(state=SlotState(state), content=content, reason=reason, changed_unix_s=changed)
            before = models.get(ModelName(model), Slots())
            models[ModelName(model)] = Slots(
                a=slot if name == "a" else before.a,
                b=slot if name == "b" else before.b,
                active=cast("SlotName", name) if is_active else before.active,
            )
        return models

    def write_slots(
        self, model: ModelName, slots: Slots, *, what: str, cause: str, at_unix_s: float, refused: Refused | None = None
    ) -> None:
        """Make a model's slots durable, with the audit line and the refusal that belong to the change, in one transaction.

        Args:
            model: The model.
            slots: Its slots from now on.
            what: The change in words, for the audit trail.
            cause: The document or person behind it.
            at_unix_s: Wall clock.
            refused: The candidate that this change turns down, if it does.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        rows = [_row(model, name, slots) for name in ("a", "b")]
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute("DELETE FROM slots WHERE model = ?", (model,))
                self._connection.executemany("INSERT INTO slots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
                self._connection.execute(
                    "INSERT INTO audit (at_unix_s, model, what, cause) VALUES (?, ?, ?, ?)",
                    (at_unix_s, model, what, cause),
                )
                if refused is not None:
                    self._insert_refusal(refused)
        except sqlite3.Error as exc:
            raise StoreError(f"the state of {model} cannot be written: {exc}", hint=_DISK_HINT) from exc

    def write_refusal(self, refused: Refused) -> None:
        """Make the refusal of a bundle that never got into a slot durable.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        try:
            self._insert_refusal(refused)
        except sqlite3.Error as exc:
            raise StoreError(f"the refusal of {refused.model} cannot be written: {exc}", hint=_DISK_HINT) from exc

    def _insert_refusal(self, refused: Refused) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?, ?)",
            (refused.digest, refused.model, str(refused.version), refused.reason, refused.at_unix_s),
        )

    def read_refusals(self) -> Mapping[Digest, Refused]:
        """Return every bundle turned down on this device, by manifest digest."""
        rows = self._connection.execute(
            "SELECT digest, model, version, reason, at_unix_s FROM refusals ORDER BY at_unix_s"
        )
        return {
            Digest(digest): Refused(
                model=ModelName(model),
                version=Version.parse(version),
                digest=Digest(digest),
                reason=reason,
                at_unix_s=at,
            )
            for digest, model, version, reason, at in rows
        }

    def read_audit(self, *, limit: int = 100) -> list[tuple[float, ModelName, str, str]]:
        """Return the newest audit lines first: Unix seconds, model, what happened, cause."""
        rows = self._connection.execute(
            "SELECT at_unix_s, model, what, cause FROM audit ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [(at, ModelName(model), what, cause) for at, model, what, cause in rows]


def _row(model: ModelName, name: SlotName, slots: Slots) -> tuple[object, ...]:
    slot = slots[name]
    content = slot.content
    what = (None, None, None) if content is None else (str(content.version), content.digest, content.variant)
    return (model, name, slot.state, int(slots.active == name), *what, slot.reason, slot.changed_unix_s)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    # Exclusive, because this is the only process: the log then needs no shared memory file, for which a full disk has no room.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema {version}, this edged knows {SCHEMA_VERSION}", hint="Install the newer edged again."
        )
    if version == 0:
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
