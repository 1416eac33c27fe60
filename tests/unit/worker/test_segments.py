"""Shared memory in a worker: what may be mapped, read and written, and when it goes."""

import os
from pathlib import Path

import numpy as np
import pytest

from edged.runtime.memory import SharedMemory
from edged.runtime.wire import WireError
from edged.worker.segments import Segments

KB = 1 << 10


@pytest.fixture
def pool():
    return SharedMemory(max_bytes=lambda: 64 << 20)


def add(segments, *pieces):
    segments.add([(piece.number, piece.size) for piece in pieces], [os.dup(piece.descriptor) for piece in pieces])


def mappings_of(inode):
    """How many mappings of a file this process has."""
    return Path("/proc/self/maps").read_text().count(f" {inode} ")


def test_a_segment_is_read_where_the_daemon_wrote(pool):
    segments, segment = Segments(), pool.take(64 * KB)
    segment.view[100:105] = b"hello"
    add(segments, segment)

    part = segments.part(segment.number, 100, 5)

    assert bytes(part) == b"hello"
    assert part.readonly


def test_a_room_is_written_where_the_daemon_reads(pool):
    segments, room = Segments(), pool.take_room(64 * KB)
    add(segments, room)

    segments.part(room.number, 64, 5)[:] = b"hello"

    assert room.read(64, 5) == b"hello"


def test_the_end_of_a_segment_is_its_end(pool):
    segments, segment = Segments(), pool.take(64 * KB)
    add(segments, segment)

    assert len(segments.part(segment.number, segment.size - 1, 1)) == 1
    for offset, size in ((segment.size - 1, 2), (segment.size + 1, 0), (0, segment.size + 1)):
        with pytest.raises(WireError, match="past the end"):
            segments.part(segment.number, offset, size)


def test_a_segment_nobody_handed_over_is_refused(pool):
    with pytest.raises(WireError, match="segment 3 was never handed over"):
        Segments().part(3, 0, 0)


def test_a_file_that_is_shorter_than_said_is_refused_before_anybody_touches_it(tmp_path):
    (tmp_path / "short").write_bytes(b"x" * 10)
    descriptor = os.open(tmp_path / "short", os.O_RDWR)

    with pytest.raises(WireError, match="shorter"):
        Segments().add([(1, 4096)], [descriptor])


@pytest.mark.parametrize("named", [[], [(1, 10), (2, 10)]])
def test_descriptors_are_closed_also_when_they_are_not_what_was_named(tmp_path, named):
    (tmp_path / "file").write_bytes(b"x" * 10)
    descriptor = os.open(tmp_path / "file", os.O_RDWR)

    with pytest.raises(WireError, match="1 descriptors came with"):
        Segments().add(named, [descriptor])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_memory_that_is_forgotten_is_unmapped_once_no_array_lies_in_it(pool):
    segments, room = Segments(), pool.take_room(64 * KB)
    inode = os.fstat(room.descriptor).st_ino
    add(segments, room)
    array = np.frombuffer(segments.part(room.number, 0, 8), np.uint8)

    segments.drop(room.number)
    with pytest.raises(WireError):
        segments.part(room.number, 0, 8)
    assert mappings_of(inode) == 1
    assert array.sum() == 0
    del array

    assert mappings_of(inode) == 0


def test_forgetting_what_was_never_mapped_is_nothing():
    Segments().drop(5)
