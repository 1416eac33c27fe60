"""The tables of ``state.db``, and how a database that an older edged wrote becomes one of today's.

WAL with ``synchronous=FULL``: a committed transaction is on the disk. Each step from one version to the next is one transaction, so a
power cut leaves the old version or the new one. Version 1 had ``audit`` in place of ``history``, and neither documents nor trials; version
2 kept no counts of a trial; version 3 knew nothing of variants.
"""

import sqlite3
from pathlib import Path
from typing import Final

from edged.errors import StoreError

SCHEMA_VERSION: Final = 4

_FIRST: Final = """
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

# A line of the audit trail read "slot a: write-began: why".
_SECOND: Final = """
CREATE TABLE history (
    id INTEGER PRIMARY KEY,
    at_unix_s REAL NOT NULL,
    what TEXT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    slot TEXT NOT NULL,
    cause TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
INSERT INTO history
    SELECT id, at_unix_s, 'slot-moved', model, '', substr(what, 6, 1), cause, substr(what, 9) FROM audit;
DROP TABLE audit;
CREATE TABLE documents (
    name TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    data BLOB NOT NULL,
    taken_unix_s REAL NOT NULL
) STRICT;
CREATE TABLE trials (
    model TEXT NOT NULL,
    slot TEXT NOT NULL CHECK (slot IN ('a', 'b')),
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    began_unix_s REAL NOT NULL,
    watched_s REAL NOT NULL,
    daemon_starts INTEGER NOT NULL,
    has_ended_cleanly INTEGER NOT NULL CHECK (has_ended_cleanly IN (0, 1)),
    baseline TEXT NOT NULL,
    PRIMARY KEY (model, slot)
) STRICT;
"""

_THIRD: Final = """
ALTER TABLE trials ADD COLUMN seen TEXT NOT NULL DEFAULT '{}';
"""

_FOURTH: Final = """
CREATE TABLE variants (
    digest TEXT NOT NULL,
    variant TEXT NOT NULL,
    has_passed INTEGER NOT NULL CHECK (has_passed IN (0, 1)),
    runs TEXT NOT NULL,
    memory_bytes INTEGER,
    PRIMARY KEY (digest, variant)
) STRICT;
"""

_STEPS: Final = (_FIRST, _SECOND, _THIRD, _FOURTH)


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Set a connection up, and bring the tables to ``SCHEMA_VERSION``.

    Args:
        connection: In autocommit mode; the only one to this database.
        path: For messages.

    Raises:
        StoreError: A newer edged wrote it.
        ValueError: It is damaged.
        sqlite3.Error: It is damaged, or the disk refused.
    """
    # Exclusive, because this is the only process: the log then needs no shared memory file, for which a full disk has no room.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema {version}, this edged knows {SCHEMA_VERSION}", hint="Install the newer edged again."
        )
    damage = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if damage != "ok":
        raise ValueError(damage)
    for done, step in enumerate(_STEPS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {done}; COMMIT")
