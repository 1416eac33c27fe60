"""What the daemon remembers survives it."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from edged.errors import StoreError
from edged.files import hash_bytes
from edged.ids import ModelName, Version
from edged.store.slots import Content, Slot, Slots, SlotState
from edged.store.state import Refused, StateDb

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


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


def test_slots_refusals_and_audit_survive_a_restart(path):
    state = StateDb.open(path)
    state.write_slots(MODEL, SLOTS, what="slot b: validation-failed", cause="rollout", at_unix_s=7.0, refused=REFUSED)
    state.close()

    reopened = StateDb.open(path)

    assert reopened.read_slots() == {MODEL: SLOTS}
    assert reopened.read_refusals() == {REFUSED.digest: REFUSED}
    assert reopened.read_audit() == [(7.0, MODEL, "slot b: validation-failed", "rollout")]
    reopened.close()


def test_committed_writes_wait_for_the_disk(path):
    """A power cut after a commit loses nothing: synchronous=FULL with a write-ahead log."""
    state = StateDb.open(path)

    assert state._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert state._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    state.close()


def test_failed_write_changes_nothing(path):
    """Slots, audit line and refusal are one transaction."""
    state = StateDb.open(path)
    state.write_slots(MODEL, SLOTS, what="first", cause="test", at_unix_s=1.0)
    broken = Slots(a=Slot(reason=None), b=Slot())  # type: ignore[arg-type]  # NOT NULL refuses it

    with pytest.raises(StoreError, match="state of gauge cannot be written"):
        state.write_slots(MODEL, broken, what="second", cause="test", at_unix_s=2.0, refused=REFUSED)

    assert state.read_slots() == {MODEL: SLOTS}
    assert [what for _, _, what, _ in state.read_audit()] == ["first"]
    assert state.read_refusals() == {}
    state.close()


def test_database_of_a_newer_edged_is_refused_with_advice(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(StoreError, match="schema 99") as caught:
        StateDb.open(path)

    assert "newer edged" in caught.value.hint


@pytest.mark.parametrize("damage", ["garbage", "unknown state"])
def test_damaged_database_is_set_aside_and_begun_anew(path, damage):
    """The store still has the bundles; a device that nobody visits must not wait for a hand."""
    state = StateDb.open(path)
    state.write_slots(MODEL, SLOTS, what="first", cause="test", at_unix_s=1.0)
    if damage == "unknown state":
        state._connection.execute("UPDATE slots SET state = 'nonsense'")
    state.close()
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
