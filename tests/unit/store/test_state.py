"""What the daemon remembers survives it."""

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edged.errors import StoreError
from edged.files import hash_bytes
from edged.ids import ModelName, Version
from edged.store import rows, schema
from edged.store.history import Entry, Happening
from edged.store.kept import Counts, KeptDocument, KeptTrial, Record, Refused
from edged.store.slots import Content, Slot, Slots, SlotState
from edged.store.state import StateDb

MODEL = ModelName("gauge")
CONTENT = Content(version=Version.parse("1.2.3-rc.1"), digest=hash_bytes(b"m"), variant="gauge-1.2.3-rc.1-int8-any")
SLOTS = Slots(
    a=Slot(state=SlotState.GOOD, content=CONTENT, changed_unix_s=5.0),
    b=Slot(state=SlotState.BAD, content=CONTENT, reason="wrong answers", changed_unix_s=6.0),
    active="a",
)
REFUSED = Refused(
    model=MODEL, version=Version.parse("2.0.0"), digest=hash_bytes(b"2"), reason="wrong answers", at_unix_s=7.0
)

TRIAL = KeptTrial(
    version=Version.parse("1.2.3-rc.1"),
    digest=hash_bytes(b"m"),
    began_unix_s=5.0,
    watched_s=12.5,
    daemon_starts=2,
    has_ended_cleanly=True,
    baseline=Record(requests=100, failures=1, late=2, p95_ms=(5.0, 10.0), worker_losses=1),
    seen=Counts(requests=9, failures=3, late=2, worker_losses=1, durations=(0, 4, 9)),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
def state(path):
    with closing(StateDb.open(path)) as state:
        yield state


def moved(number: int, **fields) -> Entry:
    return Entry(
        **{"at": float(number), "what": Happening.SLOT_MOVED, "model": "gauge", "cause": "test", "reason": str(number)}
        | fields
    )


def test_everything_that_belongs_to_a_change_survives_a_restart(path):
    with closing(StateDb.open(path)) as state:
        state.write_model(
            MODEL, SLOTS, trials={"a": TRIAL}, entries=[moved(1, slot="b", version="2.0.0")], refused=REFUSED
        )

    with closing(StateDb.open(path)) as reopened:
        assert reopened.read_slots() == {MODEL: SLOTS}
        assert reopened.read_refusals() == {REFUSED.digest: REFUSED}
        assert reopened.read_trials() == {(MODEL, "a"): TRIAL}
        assert reopened.read_history() == [moved(1, id=1, slot="b", version="2.0.0")]


def test_change_without_a_trial_ends_the_one_there_was(state):
    state.write_model(MODEL, SLOTS, trials={"a": TRIAL}, entries=[])
    state.write_model(MODEL, SLOTS, trials={}, entries=[])

    assert state.read_trials() == {}


def test_trial_that_is_over_does_not_come_back_with_a_late_note(state):
    """How long a version was watched is written beside, and may come after its trial ended."""
    state.write_model(MODEL, SLOTS, trials={"a": TRIAL}, entries=[])
    state.write_trials({(MODEL, "a"): replace(TRIAL, watched_s=60.0)})
    assert state.read_trials()[MODEL, "a"].watched_s == 60.0

    state.write_model(MODEL, SLOTS, trials={}, entries=[])
    state.write_trials({(MODEL, "a"): replace(TRIAL, watched_s=120.0)})
    assert state.read_trials() == {}


def test_refusal_that_is_lifted_is_gone(state):
    state.write_model(MODEL, SLOTS, trials={}, entries=[], refused=REFUSED)
    state.write_model(MODEL, SLOTS, trials={}, entries=[], lifted=[REFUSED.digest])

    assert state.read_refusals() == {}


def test_document_replaces_the_one_of_its_name_and_survives_a_restart(path):
    old = KeptDocument(name="stop", digest=hash_bytes(b"old"), data=b"old", taken_unix_s=1.0)
    new = KeptDocument(name="stop", digest=hash_bytes(b"new"), data=b"new", taken_unix_s=2.0)
    with closing(StateDb.open(path)) as state:
        state.write_document(old)
        state.write_document(new, entries=[moved(1, model="")])

    with closing(StateDb.open(path)) as reopened:
        assert reopened.read_documents() == {"stop": new}
        assert [entry.reason for entry in reopened.read_history()] == ["1"]


def test_history_is_newest_first_of_one_model_or_all(state):
    state.write_history(moved(1), moved(2, model="other"), moved(3))

    assert [entry.reason for entry in state.read_history()] == ["3", "2", "1"]
    assert [entry.reason for entry in state.read_history(model="gauge")] == ["3", "1"]
    assert [entry.reason for entry in state.read_history(limit=1)] == ["3"]


def test_history_keeps_the_newest_and_forgets_the_oldest(state, monkeypatch):
    """A device that runs for years must not fill its disk with what happened."""
    monkeypatch.setattr("edged.store.state.MAX_HISTORY", 5)
    for number in range(8):
        state.write_history(moved(number))

    assert [entry.reason for entry in state.read_history()] == ["7", "6", "5", "4", "3"]
    assert [entry.id for entry in state.read_history()] == [8, 7, 6, 5, 4]


def test_calls_from_several_threads_wait_for_each_other(state):
    """One connection: a transaction that another thread's began in the middle of would be theirs together."""

    def write(number: int) -> None:
        state.write_model(ModelName(f"m{number}"), SLOTS, trials={}, entries=[moved(number)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))

    assert len(state.read_slots()) == 40
    assert {entry.reason for entry in state.read_history()} == {str(number) for number in range(40)}


def test_close_waits_for_a_change_that_another_thread_makes(path, monkeypatch):
    """The daemon may be told to stop at any time; a connection that is closed under a statement ends the whole process."""
    state = StateDb.open(path)
    is_writing, may_go_on = threading.Event(), threading.Event()

    of_entry = rows.of_entry

    def wait(entry):
        is_writing.set()
        assert may_go_on.wait(60.0)
        return of_entry(entry)

    monkeypatch.setattr(rows, "of_entry", wait)
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(state.write_history, moved(1))
        assert is_writing.wait(60.0)
        ending = pool.submit(state.close)
        with pytest.raises(TimeoutError):
            ending.result(timeout=0.05)
        may_go_on.set()
        writing.result()
        ending.result()

    with closing(StateDb.open(path)) as reopened:
        assert len(reopened.read_history()) == 1


FIRST_SCHEMA = """
CREATE TABLE slots (
    model TEXT NOT NULL, slot TEXT NOT NULL CHECK (slot IN ('a', 'b')), state TEXT NOT NULL,
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)), version TEXT, digest TEXT, variant TEXT, reason TEXT NOT NULL,
    changed_unix_s REAL NOT NULL, PRIMARY KEY (model, slot)) STRICT;
CREATE UNIQUE INDEX one_active_slot ON slots (model) WHERE is_active = 1;
CREATE TABLE refusals (digest TEXT PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, reason TEXT NOT NULL,
    at_unix_s REAL NOT NULL) STRICT;
CREATE TABLE audit (id INTEGER PRIMARY KEY, at_unix_s REAL NOT NULL, model TEXT NOT NULL, what TEXT NOT NULL,
    cause TEXT NOT NULL) STRICT;
INSERT INTO slots VALUES ('gauge', 'a', 'good', 1, '1.2.3', 'd1', 'v', '', 5.0), ('gauge', 'b', 'empty', 0, NULL, NULL, NULL, '', 0.0);
INSERT INTO refusals VALUES ('d2', 'gauge', '2.0.0', 'wrong answers', 7.0);
INSERT INTO audit VALUES (3, 6.0, 'gauge', 'slot a: health-passed', 'rollout'), (4, 7.0, 'gauge', 'slot b: write-failed: full', 'disk');
PRAGMA user_version = 1;
"""


def test_database_of_the_first_edged_goes_on_with_all_it_knew(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_SCHEMA)

    with closing(StateDb.open(path)) as state:
        assert state.read_slots()[MODEL].active == "a"
        assert state.read_slots()[MODEL].a.state is SlotState.GOOD
        assert [refused.reason for refused in state.read_refusals().values()] == ["wrong answers"]
        assert state.read_history() == [
            Entry(
                id=4,
                at=7.0,
                what=Happening.SLOT_MOVED,
                model="gauge",
                slot="b",
                cause="disk",
                reason="write-failed: full",
            ),
            Entry(
                id=3,
                at=6.0,
                what=Happening.SLOT_MOVED,
                model="gauge",
                slot="a",
                cause="rollout",
                reason="health-passed",
            ),
        ]
        state.write_history(moved(5))
        assert state.read_history(limit=1)[0].id == 5


def test_trial_that_an_edged_without_counts_kept_goes_on(path):
    with closing(sqlite3.connect(path)) as connection:
        for step in schema._STEPS[:2]:
            connection.executescript(step)
        connection.executescript("PRAGMA user_version = 2")
        row = rows.of_trial((MODEL, "a"), TRIAL)[:-1]
        connection.execute(f"INSERT INTO trials VALUES ({', '.join('?' * len(row))})", row)
        connection.commit()

    with closing(StateDb.open(path)) as state:
        assert state.read_trials() == {(MODEL, "a"): replace(TRIAL, seen=Counts())}


def test_upgrade_that_fails_in_the_middle_leaves_the_old_database(path):
    """One transaction: here the second table that is to be made is there already."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"{FIRST_SCHEMA} CREATE TABLE trials (unexpected)")

    with pytest.raises(StoreError, match="trials"):
        StateDb.open(path)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (2,)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert "history" not in tables


def test_committed_writes_wait_for_the_disk(path):
    """A power cut after a commit loses nothing: synchronous=FULL with a write-ahead log."""
    state = StateDb.open(path)

    assert state._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert state._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    state.close()


def test_failed_write_changes_nothing(state):
    """Slots, trial, history and refusal are one transaction."""
    state.write_model(MODEL, SLOTS, trials={}, entries=[moved(1)])
    broken = Slots(a=Slot(reason=None), b=Slot())  # type: ignore[arg-type]  # NOT NULL refuses it

    with pytest.raises(StoreError, match="state of gauge cannot be written"):
        state.write_model(MODEL, broken, trials={"a": TRIAL}, entries=[moved(2)], refused=REFUSED)

    assert state.read_slots() == {MODEL: SLOTS}
    assert [entry.reason for entry in state.read_history()] == ["1"]
    assert state.read_refusals() == {}
    assert state.read_trials() == {}


def test_database_of_a_newer_edged_is_refused_with_advice(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(StoreError, match="schema 99") as caught:
        StateDb.open(path)

    assert "newer edged" in caught.value.hint


@pytest.mark.parametrize("damage", ["garbage", "unknown state", "baseline", "torn page"])
def test_damaged_database_is_set_aside_and_begun_anew(path, damage):
    """The store still has the bundles; a device that nobody visits must not wait for a hand."""
    state = StateDb.open(path)
    state.write_model(
        MODEL, SLOTS, trials={"a": TRIAL}, entries=[moved(number, reason="x" * 200) for number in range(100)]
    )
    if damage == "unknown state":
        state._connection.execute("UPDATE slots SET state = 'nonsense'")
    if damage == "baseline":
        state._connection.execute("UPDATE trials SET baseline = '{'")
    if damage == "torn page":
        root = state._connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'history'").fetchone()[0]
        size = state._connection.execute("PRAGMA page_size").fetchone()[0]
    state.close()
    if damage == "torn page":
        with path.open("r+b") as file:
            file.seek((root - 1) * size)
            file.write(b"\xff" * 512)
    if damage == "garbage":
        path.write_bytes(b"not a database, and long enough to be read as one" * 100)

    reopened = StateDb.open(path)

    assert reopened.read_slots() == {}
    assert path.with_name("state.db.damaged").exists()
    reopened.close()


def test_database_opens_where_the_disk_has_no_room_left(tmp_path):
    """What was active answers again after a restart on a full disk; the file system here is full to its last block."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    code = """
import errno, os, sys
from pathlib import Path
from edged.store.state import StateDb
top = Path(sys.argv[1])
os.system(f"mount -t tmpfs -o size=256k small {top}")
db = StateDb.open(top / "state.db"); db.close()
with open(top / "filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(b"x" * 512)
    except OSError as exc:
        assert exc.errno == errno.ENOSPC
db = StateDb.open(top / "state.db")
print(db.read_slots())
db.close()
"""
    inside = ["unshare", "--mount", sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(inside, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])

    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no mount namespaces here")
    assert done.stdout.strip() == "{}", done.stderr


def test_whoever_follows_the_history_is_told_what_is_kept(state):
    told = []
    state.on_history(lambda entries: told.append(([entry.reason for entry in entries], len(state.read_history()))))
    state.write_history(moved(1), moved(2))
    state.write_model(MODEL, SLOTS, trials={}, entries=[moved(3)])
    state.write_document(
        KeptDocument(name="flags", digest=hash_bytes(b"f"), data=b"{}", taken_unix_s=1.0), entries=[moved(4)]
    )

    assert told == [(["1", "2"], 2), (["3"], 3), (["4"], 4)]


def test_nobody_is_told_what_was_not_written(state):
    told = []
    state.on_history(told.append)
    state.close()

    with pytest.raises(StoreError):
        state.write_history(moved(1))
    assert told == []
