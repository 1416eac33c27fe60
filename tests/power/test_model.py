"""The model of a file system keeps the promises that it names, and makes use of every liberty that is left."""

import random

import pytest

from tests.fakes.power_cuts import SECTOR_BYTES, Disk
from tests.fakes.tracees import Change

TRIES = 400


@pytest.fixture
def top(tmp_path):
    """A durable tree: ``old``, and two directories."""
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    return tmp_path


def states(top, *changes):
    """Return what the disk may hold after these changes: every state that comes up, without the directories."""
    disk = Disk(top)
    for what, path, *more in changes:
        to = str(top / more[0]) if what in {"rename", "link"} else ""
        offset, data = (more if what == "write" else (0, b"")) if what != "truncate" else (more[0], b"")
        disk.apply(Change(what, str(top / path), to, offset, data))
    found = disk.states(random.Random(1))
    trees = [next(found) for _ in range(TRIES)]
    return {frozenset((name, data) for name, data in tree.items() if data is not None) for tree in trees}


OLD = ("old", b"old")


def test_what_was_there_stays(top):
    assert states(top) == {frozenset({OLD})}


def test_file_that_is_not_synced_may_have_its_name_its_size_its_bytes_or_nothing(top):
    contents = {dict(tree).get("new") for tree in states(top, ("create", "new"), ("write", "new", 0, b"x"))}

    assert contents == {None, b"", b"\0", b"x"}


def test_sync_of_a_file_keeps_its_bytes_and_not_its_name(top):
    found = states(top, ("create", "new"), ("write", "new", 0, b"x"), ("sync", "new"))

    assert found == {frozenset({OLD}), frozenset({OLD, ("new", b"x")})}


def test_sync_of_a_directory_keeps_names_and_no_bytes(top):
    found = states(top, ("create", "new"), ("write", "new", 0, b"x"), ("sync", ""))

    assert {frozenset({OLD, ("new", b"")}), frozenset({OLD, ("new", b"x")})} <= found
    assert frozenset({OLD}) not in found


def test_rename_is_there_or_not_and_never_half(top):
    """Over another file: the one that was there, or the new one; and the name that it had is gone exactly then."""
    steps = [("create", "new"), ("write", "new", 0, b"x"), ("sync", "new"), ("sync", "")]

    assert states(top, *steps, ("rename", "new", "old")) == {
        frozenset({OLD, ("new", b"x")}),
        frozenset({("old", b"x")}),
    }


def test_rename_to_another_directory_is_made_durable_by_that_one(top):
    moved, kept = frozenset({("a/old", b"old")}), frozenset({OLD})

    assert states(top, ("rename", "old", "a/old")) == {moved, kept}
    assert states(top, ("rename", "old", "a/old"), ("sync", "")) == {moved, kept}
    assert states(top, ("rename", "old", "a/old"), ("sync", "a")) == {moved}


def test_later_change_may_be_there_without_the_earlier_one(top):
    found = states(top, ("link", "old", "a/first"), ("link", "old", "b/second"))

    assert frozenset({OLD, ("b/second", b"old")}) in found
    assert len(found) == 4


def test_write_is_torn_at_sectors_and_nowhere_else(top):
    data = bytes([1]) * SECTOR_BYTES + bytes([2]) * SECTOR_BYTES
    steps = [("create", "new"), ("truncate", "new", len(data)), ("sync", "new"), ("sync", "")]

    found = {dict(tree)["new"] for tree in states(top, *steps, ("write", "new", 0, data))}

    zeros = bytes(SECTOR_BYTES)
    assert found == {
        first + second for first in (zeros, data[:SECTOR_BYTES]) for second in (zeros, data[SECTOR_BYTES:])
    }


def test_unlinked_file_may_come_back_until_its_directory_is_synced(top):
    assert states(top, ("unlink", "old")) == {frozenset({OLD}), frozenset()}
    assert states(top, ("unlink", "old"), ("sync", "")) == {frozenset()}


def test_what_is_in_a_directory_without_a_name_is_not_there(top):
    steps = [("mkdir", "c"), ("create", "c/new"), ("write", "c/new", 0, b"x"), ("sync", "c/new"), ("sync", "c")]

    assert states(top, *steps) == {frozenset({OLD}), frozenset({OLD, ("c/new", b"x")})}
