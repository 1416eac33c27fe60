"""The slots in memory and on the disk say the same, whatever happens to who moves them."""

import asyncio
from contextlib import closing

import pytest

from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.errors import StoreError
from edged.files import hash_bytes
from edged.ids import ModelName, Version
from edged.store.in_use import read_in_use
from edged.store.slots import Content, MoveRefusedError, SlotEvent, SlotState
from edged.store.state import StateDb
from tests.fakes.clocks import ManualClock

GAUGE = ModelName("gauge")
ONE = Version.parse("1.0.0")
BEGIN = Move(
    slot="a",
    what=SlotEvent.WRITE_BEGAN,
    cause="rollout 3f9c0d2e",
    content=Content(version=ONE, digest=hash_bytes(b"1"), variant="gauge-1.0.0-fp32-any"),
)
VERIFY = Move(slot="a", what=SlotEvent.WRITE_VERIFIED, cause="rollout 3f9c0d2e")


@pytest.fixture
def state(tmp_path):
    with closing(StateDb.open(tmp_path / "state.db")) as state:
        yield state


@pytest.fixture
def table(state, tmp_path):
    return SlotTable(state, ManualClock(), in_use=tmp_path / "in-use.json")


async def test_move_of_a_caller_that_is_cancelled_is_whole(table, state):
    """What was written to the disk is known here, too: else the next move would be made from what is no longer true."""
    moving = asyncio.create_task(table.move(GAUGE, BEGIN))
    await asyncio.sleep(0)
    moving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await moving
    await table.move(GAUGE, VERIFY)

    assert table[GAUGE].a.state is SlotState.READY
    assert state.read_slots()[GAUGE] == table[GAUGE]


async def test_moves_at_the_same_time_are_made_one_after_the_other(table):
    """The second is planned from what the first has made."""
    await asyncio.gather(table.move(GAUGE, BEGIN), table.move(GAUGE, VERIFY))

    assert table[GAUGE].a.state is SlotState.READY


async def test_move_that_the_disk_refuses_has_not_happened(table, state, tmp_path):
    state._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreError):
        await table.move(GAUGE, BEGIN)
    state._connection.execute("PRAGMA query_only = 0")

    assert table.models == {}
    assert table.trials == {}
    assert state.read_slots() == {}
    assert state.read_history() == []
    assert not any(read_in_use(tmp_path / "in-use.json").values())


async def test_move_that_is_not_in_the_table_changes_nothing(table, state):
    with pytest.raises(MoveRefusedError):
        await table.move(GAUGE, VERIFY)

    assert state.read_slots() == {}


async def test_updater_knows_of_a_version_before_a_slot_names_it(table, state, tmp_path, monkeypatch):
    seen = []
    write = StateDb.write_model

    def look_first(*args, **options):
        seen.append(read_in_use(tmp_path / "in-use.json"))
        write(*args, **options)

    monkeypatch.setattr(StateDb, "write_model", look_first)
    await table.move(GAUGE, BEGIN)

    assert seen == [{GAUGE: frozenset({ONE})}]
