"""What is opened below a directory, and what is not."""

import os
import socket

import pytest

from edged.cli.beneath import Beneath, BeneathError
from tests.fakes.open_files import open_files


@pytest.fixture
def top(tmp_path):
    (tmp_path / "top/metadata").mkdir(parents=True)
    (tmp_path / "top/metadata/timestamp.json").write_bytes(b"here")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/timestamp.json").write_bytes(b"elsewhere")
    return tmp_path / "top"


@pytest.fixture
def beneath(top):
    with Beneath(top) as made:
        yield made


def contents(descriptor):
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def test_regular_file_is_opened(beneath):
    assert contents(beneath.open("metadata/timestamp.json")) == b"here"


def test_directory_itself_may_be_a_link(tmp_path, top):
    """It was named by the person who asks."""
    (tmp_path / "link").symlink_to(top)

    with Beneath(tmp_path / "link") as beneath:
        assert contents(beneath.open("metadata/timestamp.json")) == b"here"


@pytest.mark.parametrize(
    "path", ["../outside/timestamp.json", "metadata/../../outside/timestamp.json", "/etc/passwd", "./x", "a//b", "", "."]
)  # fmt: skip
def test_path_that_leads_elsewhere_is_refused(beneath, path):
    with pytest.raises(BeneathError):
        beneath.open(path)


@pytest.mark.parametrize("is_absolute", [False, True])
def test_links_are_not_followed(top, beneath, is_absolute):
    """Neither to a file nor through a directory, wherever they lead."""
    outside = top.parent / "outside"
    (top / "file").symlink_to(outside / "timestamp.json" if is_absolute else "metadata/timestamp.json")
    (top / "directory").symlink_to(outside if is_absolute else "metadata")

    for path in ("file", "directory/timestamp.json"):
        with pytest.raises(BeneathError, match="symbolic link"):
            beneath.open(path)


def test_what_is_no_regular_file_is_not_opened(top, beneath):
    """Opening a FIFO would wait for a writer; nothing here waits."""
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "socket"))
        for name in ("fifo", "socket", "metadata"):
            with pytest.raises(BeneathError, match="no regular file"):
                beneath.open(name)


@pytest.mark.parametrize("path", ["absent", "absent/timestamp.json", "metadata/timestamp.json/x"])
def test_what_is_not_there_says_so(beneath, path):
    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        beneath.open(path)


def test_nothing_stays_open(top, beneath):
    before = open_files()
    (top / "link").symlink_to("metadata")

    os.close(beneath.open("metadata/timestamp.json"))
    for path in ("link", "link/x", "absent/x", "..", "metadata"):
        with pytest.raises((BeneathError, OSError)):
            beneath.open(path)

    assert open_files() == before


def test_names_are_sorted(top, beneath):
    (top / "b.edgeb").touch()
    (top / "a.edgeb").touch()

    assert beneath.names() == ["a.edgeb", "b.edgeb", "metadata"]


def test_file_is_no_directory(top):
    with pytest.raises(NotADirectoryError):
        Beneath(top / "metadata/timestamp.json")
