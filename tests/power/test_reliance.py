"""What the daemon relies on is durable, whoever wrote it, and the updater is told of it before: the real lifecycle, with real workers."""

import os
from pathlib import Path

import pytest

from edged.daemon.lifecycle.slot_table import SlotTable
from edged.ids import Version
from edged.store.in_use import read_in_use
from edged.store.slots import SlotEvent
from edged.store.state import StateDb
from tests.fakes.daemons import ADDER, Disk


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


async def test_candidate_is_complete_only_when_every_name_on_the_way_to_it_is_durable(disk, monkeypatch):
    """The updater makes it so; but it may have been ended right before, and the daemon's slots outlive the power cut."""
    happened = []
    sync, move = os.fsync, SlotTable.move

    def note_sync(descriptor):
        happened.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    async def note_move(table, model, what):
        await move(table, model, what)
        happened.append(what.what)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(SlotTable, "move", note_move)
    bundle = disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()

    synced = happened[happened.index(SlotEvent.WRITE_BEGAN) : happened.index(SlotEvent.WRITE_VERIFIED)]
    assert set(synced) >= {bundle, *bundle.rglob("*"), bundle.parent, disk.layout.bundles, disk.layout.root}


async def test_updater_is_told_of_a_version_before_a_slot_names_it_and_as_long_as_one_does(disk, monkeypatch):
    """At each moment in which the slots change, both what they were and what they become is in the document."""
    path = disk.directory / "in-use.json"
    write = StateDb.write_model
    seen = []

    def note_write(state, model, slots, **more):
        told = read_in_use(path)[ADDER]
        for kept in (state.read_slots().get(model), slots):
            named = {slot.content.version for slot in (kept.a, kept.b) if slot.content} if kept else set()
            assert named <= told
        seen.append(told)
        write(state, model, slots, **more)

    monkeypatch.setattr(StateDb, "write_model", note_write)
    async with disk.start() as device:
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            disk.stage(version)
            await device.lifecycle.look()

    assert len(seen) >= 3 * 4
    assert read_in_use(path) == {ADDER: frozenset({Version.parse("1.1.0"), Version.parse("1.2.0")})}


async def test_document_is_there_again_after_a_boot_before_anything_moves(disk):
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
    path = disk.directory / "in-use.json"
    path.unlink()

    async with disk.start():
        assert read_in_use(path) == {ADDER: frozenset({Version.parse("1.0.0")})}
