"""Files that somebody else opens: what is read of them, and what whoever opens them can do wrong."""

import os
import socket

import pytest
from tuf.api.exceptions import DownloadLengthMismatchError

from edged.errors import (
    DigestMismatchError,
    FetchError,
    FileMissingError,
    HostUnreachableError,
    MetadataRollbackError,
    SignatureInvalidError,
)
from edged.update.origins.stick import URL, Stick, advise
from edged.update.protocol.asking import ListPacks, NotOpened, Opened, OpenFile, encode_packet
from edged.update.protocol.messages import Finding, failure_of
from tests.fakes.open_files import open_files
from tests.fakes.sticks import opener_of, send_reply, stick_of, write_tree

TIMESTAMP = "metadata/timestamp.json"
DATA = bytes(range(256)) * 4096


@pytest.fixture
def tree(tmp_path):
    return write_tree(
        tmp_path / "stick", {"metadata/timestamp.json": b"{}", "blobs/aa/aa": DATA, "a.edgeb": b"", "b.edgeb": b""}
    )


def test_whole_files_and_ranges_are_read(tree):
    with stick_of(opener_of(tree)) as stick:
        assert stick.read(f"{URL}metadata/timestamp.json", max_bytes=2) == b"{}"
        with stick.open(f"{URL}blobs/aa/aa", first_byte=1000, last_byte=600_000) as stream:
            assert (stream.start, stream.total) == (1000, len(DATA))
            assert b"".join(stream.blocks) == DATA[1000:600_001]
        with stick.open(f"{URL}blobs/aa/aa", first_byte=len(DATA), last_byte=len(DATA) + 9) as stream:
            assert (list(stream.blocks), stream.total) == ([], len(DATA))


def test_file_over_the_limit_is_not_read(tree):
    with stick_of(opener_of(tree)) as stick, pytest.raises(DownloadLengthMismatchError):
        stick.read(f"{URL}blobs/aa/aa", max_bytes=len(DATA) - 1)


def test_packs_are_those_of_the_directory_or_the_one_that_was_named(tree):
    with stick_of(opener_of(tree)) as stick:
        assert stick.packs() == ("a.edgeb", "b.edgeb")
    with stick_of(opener_of(tree, only="b.edgeb")) as stick:
        assert stick.packs() == ("b.edgeb",)


def test_files_that_cannot_be_opened_say_why(tree):
    (tree / "link").symlink_to("/etc/passwd")
    os.mkfifo(tree / "fifo")
    with stick_of(opener_of(tree)) as stick:
        with pytest.raises(FileMissingError, match="stick:/absent is not there") as missing:
            stick.read(f"{URL}absent", max_bytes=9)
        for name, why in (("link", "symbolic link"), ("fifo", "no regular file")):
            with pytest.raises(FetchError, match=why) as refused:
                stick.read(f"{URL}{name}", max_bytes=9)
            assert type(refused.value) is FetchError
        assert "index/" in missing.value.hint


def test_stick_that_was_pulled_ends_everything(tree):
    """The directory is still open, but nothing in it can be read any more."""
    broken = NotOpened(path=TIMESTAMP, cause="broken", reason="Input/output error")

    with (
        stick_of(lambda _: (broken, None)) as stick,
        pytest.raises(HostUnreachableError, match="Input/output") as caught,
    ):
        stick.read(f"{URL}metadata/timestamp.json", max_bytes=9)

    assert "Put it in again" in caught.value.hint


def test_file_that_becomes_shorter_while_it_is_read(tree):
    with stick_of(opener_of(tree)) as stick, stick.open(f"{URL}blobs/aa/aa") as stream:
        next(stream.blocks)
        os.truncate(tree / "blobs/aa/aa", 300_000)
        with pytest.raises(HostUnreachableError, match="ended after 300000 of 1048576"):
            list(stream.blocks)


def test_whoever_opens_the_files_may_go(tree):
    def leave(_):
        raise ConnectionError

    with stick_of(leave) as stick, pytest.raises(HostUnreachableError) as caught:
        stick.read(f"{URL}metadata/timestamp.json", max_bytes=9)

    assert caught.value.hint


def test_whoever_opens_the_files_may_hang():
    with stick_of(None, timeout_s=0.02) as stick, pytest.raises(HostUnreachableError, match="timed out"):
        stick.read(f"{URL}metadata/timestamp.json", max_bytes=9)


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (Opened(path=TIMESTAMP), None),
        (b"no document", "file"),
        (encode_packet(Opened(path=TIMESTAMP))[:-3], "file"),
        (Opened(path=TIMESTAMP), "fifo"),
        (Opened(path=TIMESTAMP), "directory"),
        (Opened(path=TIMESTAMP), "device"),
        (NotOpened(path=TIMESTAMP, cause="refused", reason="no"), "file"),
    ],
)
def test_answer_that_is_none_is_refused_and_nothing_stays_open(tmp_path, tree, reply, what):
    """Whatever comes through the descriptor: nothing is read from what is no regular file."""
    os.mkfifo(tmp_path / "fifo")
    paths = {"file": tree / "a.edgeb", "fifo": tmp_path / "fifo", "directory": tmp_path, "device": "/dev/zero"}

    def answer(_):
        return reply, None if what is None else os.open(paths[what], os.O_RDONLY | os.O_NONBLOCK)

    before = open_files()
    with stick_of(answer) as stick:
        with pytest.raises(FetchError):
            stick.read(f"{URL}{TIMESTAMP}", max_bytes=9)
        with pytest.raises(FetchError):
            stick.take(TIMESTAMP)
    assert open_files() == before


LATE = (OpenFile(path="blobs/aa/aa"), OpenFile(path="absent"), ListPacks())


@pytest.mark.parametrize("late", LATE)
def test_answers_to_what_a_refresh_before_asked_for_are_passed_over(tree, late):
    """It was ended while it waited for them, and another one begins on the same connection; perhaps with the same question."""
    opened = opener_of(tree)
    before = open_files()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for wanted in (late, late, OpenFile(path=TIMESTAMP), OpenFile(path=TIMESTAMP), OpenFile(path="a.edgeb")):
            send_reply(theirs, *opened(wanted))
        stick = Stick(ours, timeout_s=30.0, on_answer=lambda: None)

        assert stick.read(f"{URL}{TIMESTAMP}", max_bytes=2) == b"{}"
        assert stick.read(f"{URL}a.edgeb", max_bytes=2) == b""
    assert open_files() == before


@pytest.mark.parametrize("late", LATE)
def test_whoever_opens_the_files_may_send_nothing_but_late_answers(tree, late):
    """What counts as a sign of progress, and as soon enough, is the right one."""
    signs = []
    before = open_files()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        send_reply(theirs, *opener_of(tree)(late))
        stick = Stick(ours, timeout_s=0.02, on_answer=lambda: signs.append(1))

        with pytest.raises(HostUnreachableError, match="timed out"):
            stick.take(TIMESTAMP)
    assert open_files() == before
    assert signs == []


def test_hints_are_those_for_a_stick_and_not_for_a_host():
    old = failure_of(MetadataRollbackError("older", hint="The host serves an older state."))

    assert "older than what this device has seen" in advise(Finding(failure=old, checked_unix_s={})).failure.hint
    altered = Finding(failure=failure_of(SignatureInvalidError("x", hint="The host")), checked_unix_s={})
    assert "copy it again" in advise(altered).failure.hint
    too_long = DigestMismatchError("x", hint="The host serves something that was not signed; publish again.")
    assert "copy it again" in advise(Finding(failure=failure_of(too_long), checked_unix_s={})).failure.hint
    own_disk = Finding(failure=failure_of(DigestMismatchError("x", hint="Check the disk's health.")), checked_unix_s={})
    assert advise(own_disk) == own_disk
    other = Finding(failure=failure_of(FetchError("x", hint="keep")), checked_unix_s={})
    assert advise(other) == other
    assert advise(Finding(checked_unix_s={})).failure is None
