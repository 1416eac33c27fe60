import os
import stat

import pytest

from edged.errors import StoreError
from edged.files import hash_bytes, hash_file, is_named, read_limited, replace_durably, replace_shown
from tests.fakes.pipes import piped

# NIST FIPS 180-4, example for "abc".
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_replace_puts_whole_new_content_in_place(tmp_path):
    path = tmp_path / "file"
    replace_durably(path, b"old")
    replace_durably(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o640])
def test_mode_is_the_one_asked_for_whatever_the_umask(tmp_path, mode):
    before = os.umask(0o077)
    try:
        replace_durably(tmp_path / "file", b"x", mode=mode)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_old_content_stays_when_writing_fails(tmp_path, monkeypatch):
    """The new bytes must be on the disk before the name changes; a full disk leaves the old file and no other."""
    path = tmp_path / "file"
    replace_durably(path, b"old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_durably(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_synced_before_the_rename_and_the_directory_after_it(tmp_path, monkeypatch):
    steps = []
    real_sync, real_replace = os.fsync, os.replace
    is_directory = lambda fd: stat.S_ISDIR(os.fstat(fd).st_mode)  # noqa: E731 - shorter beside its use
    monkeypatch.setattr(
        os, "fsync", lambda fd: (steps.append("directory" if is_directory(fd) else "file"), real_sync(fd))
    )
    monkeypatch.setattr(os, "replace", lambda *args, **kwargs: (steps.append("rename"), real_replace(*args, **kwargs)))

    replace_durably(tmp_path / "file", b"x")

    assert steps == ["file", "rename", "directory"]


def test_what_a_killed_writer_left_does_not_disturb(tmp_path):
    (tmp_path / ".file.new").write_bytes(b"half of something longer")
    replace_durably(tmp_path / "file", b"x")

    assert (tmp_path / "file").read_bytes() == b"x"


def test_hash_of_a_file_is_the_hash_of_its_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")

    assert hash_bytes(b"abc") == ABC
    assert hash_bytes(memoryview(b"xabc")[1:]) == ABC
    assert hash_file(tmp_path / "abc") == (ABC, 3)


def test_hash_of_a_file_larger_than_one_block(tmp_path):
    data = bytes(range(256)) * 10_000
    (tmp_path / "large").write_bytes(data)

    assert hash_file(tmp_path / "large") == (hash_bytes(data), len(data))


def test_reading_stops_at_the_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")

    assert read_limited(path, max_bytes=5) == b"12345"
    with pytest.raises(StoreError, match="larger than 4 bytes"):
        read_limited(path, max_bytes=4)


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_limited(tmp_path / "nothing", max_bytes=5)


def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "status.json")

    with pytest.raises(OSError, match="no regular file"):
        read_limited(tmp_path / "status.json", max_bytes=5)


def test_a_pipe_that_a_person_names_is_read_to_its_end(tmp_path):
    with piped(b"12345") as path:
        assert read_limited(path, max_bytes=5, may_wait=True) == b"12345"


def test_a_directory_in_place_of_a_file_is_an_os_error_that_leaves_nothing_open(tmp_path, recwarn):
    with pytest.raises(OSError, match="no regular file"):
        read_limited(tmp_path, max_bytes=5)

    assert not recwarn


def test_a_name_is_there_even_if_it_is_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    assert is_named(tmp_path / "nowhere")
    assert is_named(tmp_path / "loop")
    assert not is_named(tmp_path / "missing")


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_what_is_shown_is_replaced_whole_for_those_who_may_read_it(tmp_path, mode):
    path = tmp_path / "status.json"
    replace_shown(path, b"old, and longer")
    with path.open("rb") as reader:
        replace_shown(path, b"new", mode=mode)

        assert reader.read() == b"old, and longer"
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == mode
    assert [entry.name for entry in tmp_path.iterdir()] == ["status.json"]
