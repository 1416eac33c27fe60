"""What the daemon remembers survives it."""

import sqlite3

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


def test_damaged_database_is_refused_with_advice(path):
    path.write_bytes(b"not a database, and long enough to be read as one" * 100)

    with pytest.raises(StoreError, match="cannot be opened") as caught:
        StateDb.open(path)

    assert "Move it away" in caught.value.hint
