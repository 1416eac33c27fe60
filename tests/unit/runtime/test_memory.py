"""Shared memory: bounded, reused, given to one request at a time, and safe from whoever it is shared with."""

import mmap
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import UnavailableError
from edged.runtime.memory import MIN_BYTES, SharedMemory
from tests.fakes.open_files import open_files

MB = 1 << 20


class Pool(SharedMemory):
    """Remembers what it made, so that nothing is left behind however a test ends."""

    def __init__(self, max_bytes, **options):
        super().__init__(max_bytes=max_bytes, **options)
        self.made = {}
        self.on_drop(self.made.pop)

    def take(self, size_bytes):
        return self._note(super().take(size_bytes))

    def take_room(self, size_bytes):
        return self._note(super().take_room(size_bytes))

    def close(self):
        for piece in self.made.values():
            piece.close()

    def _note(self, piece):
        self.made[piece.number] = piece
        return piece


@pytest.fixture
def pool():
    pools = []

    def make(max_bytes=64 * MB, **options):
        pools.append(Pool(max_bytes if callable(max_bytes) else lambda: max_bytes, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@pytest.mark.parametrize("take", ["take", "take_room"])
@pytest.mark.parametrize("size", [0, 1, MIN_BYTES, MIN_BYTES + 1, 5_000_000])
def test_memory_is_at_least_as_large_as_asked_for_and_not_much_larger(pool, take, size):
    piece = getattr(pool(), take)(size)

    assert max(size, 1) <= piece.size <= max(size * 1.25, MIN_BYTES)
    assert os.fstat(piece.descriptor).st_size == piece.size


def test_all_of_it_is_there_when_it_is_taken(pool):
    """Touching a page that a full tmpfs cannot give ends a process; so a full tmpfs has to be an error of ``take``."""
    for piece in (pool().take(3 * MB), pool().take_room(3 * MB)):
        assert os.fstat(piece.descriptor).st_blocks * 512 >= piece.size


def test_what_the_daemon_writes_is_what_a_worker_reads(pool):
    segment = pool().take(100)
    segment.view[:5] = b"hello"

    with mmap.mmap(segment.descriptor, segment.size, access=mmap.ACCESS_READ) as far:
        assert far[:5] == b"hello"


def test_what_a_worker_writes_is_what_the_daemon_reads(pool):
    room = pool().take_room(100)
    with mmap.mmap(room.descriptor, room.size) as far:
        far[7:12] = b"hello"

    assert room.read(7, 5) == b"hello"


def test_a_worker_can_neither_write_to_inputs_nor_cut_them_short(pool):
    """The daemon maps them, and would be ended by a signal when it reads behind the end of a file."""
    segment = pool().take(100)

    with pytest.raises(PermissionError):
        mmap.mmap(segment.descriptor, segment.size)
    with pytest.raises(OSError, match="Invalid argument"):
        os.ftruncate(segment.descriptor, 0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(segment.descriptor, b"x", 0)


def test_a_room_that_a_worker_has_cut_short_is_read_short_and_nothing_else_happens(pool):
    room = pool().take_room(100)
    os.ftruncate(room.descriptor, 10)

    assert room.read(5, 20) == bytes(5)
    assert room.read(50, 20) == b""


def test_memory_has_no_name_and_can_be_given_none(pool, tmp_path):
    segment = pool(directory=str(tmp_path)).take(100)

    assert list(tmp_path.iterdir()) == []
    directory = os.open(tmp_path, os.O_PATH)
    with pytest.raises(FileNotFoundError):
        os.link(f"/proc/self/fd/{segment.descriptor}", "name", dst_dir_fd=directory, follow_symlinks=True)
    os.close(directory)


def test_memory_that_was_given_back_is_used_again(pool):
    memory = pool()
    first = memory.take(5 * MB)
    first.release()

    second = memory.take(5 * MB - 1000)

    assert second.number == first.number
    assert memory.used_bytes == first.size


def test_memory_in_use_is_never_given_to_another(pool):
    memory = pool()

    assert len({memory.take(MB).number for _ in range(5)} | {memory.take_room(MB).number for _ in range(5)}) == 10


def test_inputs_and_answers_never_use_each_others_memory(pool):
    """A worker may write to the one kind, and the daemon trusts the other."""
    memory = pool()
    segment, room = memory.take(MB), memory.take_room(MB)
    segment.release()
    room.release()

    assert memory.take_room(MB).number == room.number
    assert memory.take(MB).number == segment.number


def test_a_small_request_leaves_large_memory_to_a_large_one(pool):
    memory = pool()
    large = memory.take(10 * MB)
    large.release()

    assert memory.take(MB).number != large.number
    assert memory.take(10 * MB).number == large.number


def test_a_small_request_takes_large_memory_rather_than_none(pool):
    memory = pool(10 * MB)
    large = memory.take(10 * MB)
    large.release()

    assert memory.take(MB).number == large.number


def test_the_smallest_that_fits_is_used(pool):
    memory = pool()
    pieces = [memory.take(size * MB) for size in (8, 5, 6)]
    for piece in pieces:
        piece.release()

    assert memory.take(5 * MB).number == pieces[1].number


def test_memory_held_by_two_is_given_back_by_the_second(pool):
    memory = pool()
    segment = memory.take(MB)
    segment.hold()
    segment.release()
    assert memory.take(MB).number != segment.number

    segment.release()
    assert memory.take(MB).number == segment.number


def test_giving_back_twice_is_refused(pool):
    """Whoever has it by then would share it with the next request."""
    memory = pool()
    segment = memory.take(MB)
    segment.release()
    with pytest.raises(ValueError, match="twice"):
        segment.release()

    assert memory.take(MB).number != memory.take(MB).number


def test_memory_that_is_given_back_cannot_be_held(pool):
    segment = pool().take(MB)
    segment.release()

    with pytest.raises(ValueError, match="nobody"):
        segment.hold()


def test_more_than_the_limit_is_refused_until_something_is_given_back(pool):
    memory = pool(4 * MB)
    first, _ = memory.take(2 * MB), memory.take_room(2 * MB)
    for take in (memory.take, memory.take_room):
        with pytest.raises(UnavailableError, match="Other requests"):
            take(1)

    first.release()
    assert memory.take(MB)


def test_free_memory_of_another_size_or_kind_makes_place_the_longest_unused_first(pool):
    memory = pool(4 * MB)
    dropped = []
    memory.on_drop(dropped.append)
    pieces = [memory.take(MB), memory.take_room(MB), memory.take(MB)]
    for piece in pieces:
        piece.release()

    memory.take(2 * MB)
    assert dropped == [pieces[0].number]
    memory.take(2 * MB)
    assert dropped == [piece.number for piece in pieces]


def test_a_limit_that_changes_counts_at_once(pool):
    limit = 8 * MB
    memory = pool(lambda: limit)
    kept = memory.take(MB)
    limit = MB

    with pytest.raises(UnavailableError):
        memory.take(MB)
    kept.release()
    assert memory.take(MB)


def test_trimming_drops_what_is_free_and_leaves_what_is_in_use(pool, tmp_path):
    memory = pool(directory=str(tmp_path))
    kept, free = memory.take(MB), [memory.take(MB), memory.take_room(MB)]
    dropped = []
    stop = memory.on_drop(dropped.append)
    for piece in free:
        piece.release()
    assert open_files(among=str(tmp_path)) >= 3
    memory.trim()

    assert sorted(dropped) == [piece.number for piece in free]
    assert (memory.used_bytes, memory.taken_bytes) == (MB, MB)
    kept.view[:1] = b"x"

    stop()
    kept.release()
    memory.trim()
    assert len(dropped) == 2
    assert (memory.used_bytes, memory.taken_bytes) == (0, 0)
    assert open_files(among=str(tmp_path)) == 0


def test_dropping_memory_that_somebody_still_looks_at_is_no_error(pool):
    """A tensor in a traceback, say: the memory goes with it."""
    memory = pool()
    segment = memory.take(MB)
    seen = segment.view[10:20]
    segment.release()
    memory.trim()

    assert bytes(seen) == bytes(10)
    assert memory.used_bytes == 0


@pytest.mark.parametrize("size", [5 << 30, 1 << 60])
def test_a_request_for_absurdly_much_is_refused(pool, size):
    with pytest.raises(UnavailableError):
        pool(1 << 62).take(size)


def test_a_place_where_no_file_can_be_made_is_an_error(pool):
    memory = pool(directory="/proc")

    for take in (memory.take, memory.take_room):
        with pytest.raises(UnavailableError, match="No memory"):
            take(MB)
    assert memory.used_bytes == 0


def test_what_lies_unused_is_given_up_before_a_full_device_is_an_error(pool, monkeypatch, tmp_path):
    """The tmpfs may be smaller than the limit; what could not be had leaves no file open."""
    from edged.runtime import memory as module

    there = 3 * MB
    allocate = os.posix_fallocate

    def limited(descriptor, offset, size):
        if memory.used_bytes + size > there:
            raise OSError(28, "No space left on device")
        allocate(descriptor, offset, size)

    monkeypatch.setattr(module.os, "posix_fallocate", limited)
    memory = pool(directory=str(tmp_path))
    memory.take(2 * MB).release()

    assert memory.take_room(3 * MB).size == 3 * MB
    with pytest.raises(UnavailableError, match="No space"):
        memory.take(MB)
    assert open_files(among=str(tmp_path)) == 1


@given(st.lists(st.tuples(st.sampled_from(["take", "take_room", "release"]), st.integers(0, 3 * MB)), max_size=30))
def test_whatever_is_taken_and_given_back_the_books_are_right(steps):
    memory = SharedMemory(max_bytes=lambda: 8 * MB)
    mapped = set()
    memory.on_drop(mapped.remove)
    taken = []
    for what, size in steps:
        if what == "release":
            if taken:
                taken.pop(size % len(taken)).release()
            continue
        try:
            piece = getattr(memory, what)(size)
        except UnavailableError:
            assert taken
            continue
        mapped.add(piece.number)
        taken.append(piece)
        assert piece.size >= size
        assert memory.used_bytes <= 8 * MB
        assert memory.taken_bytes == sum(other.size for other in taken)
    assert len({piece.number for piece in taken}) == len(taken)
    for piece in taken:
        piece.release()
    memory.trim()
    assert mapped == set()
    assert (memory.used_bytes, memory.taken_bytes) == (0, 0)
