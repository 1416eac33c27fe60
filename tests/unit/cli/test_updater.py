"""edgectl's side of the updater's control socket, against an updater that plays a script."""

import errno
import os
import socket
from contextlib import contextmanager
from threading import Thread

import pytest

from edged.cli.updater import apply, check
from edged.errors import (
    DaemonUnreachableError,
    MetadataRollbackError,
    NotPermittedError,
    UnavailableError,
    UsageError,
)
from edged.sockets import bind_unix
from edged.update.protocol.asking import (
    MAX_PACKS,
    Apply,
    Check,
    ListPacks,
    NotOpened,
    Opened,
    OpenFile,
    Outcome,
    Packs,
    decode_reply,
    decode_request,
    encode_packet,
)
from edged.update.protocol.messages import Failure, Step
from edged.update.protocol.phases import Deferred, Phase
from tests.fakes.gates import short_directory
from tests.fakes.patience import PATIENCE_S
from tests.fakes.sticks import write_tree

POLLING = Step(phase=Phase.POLLING)


class Updater:
    """What the script has: the connection, what was asked for, and what was answered."""

    def __init__(self, path):
        self.path = str(path)
        self.request = None
        self.replies = []

    def play(self, listener, script):
        listener.settimeout(PATIENCE_S)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(PATIENCE_S)
            self.request = decode_request(connection.recv(100_000))
            for said in script:
                connection.send(said if isinstance(said, bytes) else encode_packet(said))
                if isinstance(said, OpenFile | ListPacks):
                    packet, descriptors, _, _ = socket.recv_fds(connection, 100_000, 1)
                    contents = [os.read(descriptor, 100) for descriptor in descriptors]
                    for descriptor in descriptors:
                        os.close(descriptor)
                    self.replies.append((decode_reply(packet), *contents))


@contextmanager
def updater(*script):
    with (
        short_directory() as directory,
        bind_unix(directory / "control", mode=0o600, kind=socket.SOCK_SEQPACKET) as listener,
    ):
        made = Updater(directory / "control")
        thread = Thread(target=made.play, args=(listener, script))
        thread.start()
        try:
            yield made
        finally:
            thread.join()


@pytest.fixture
def stick(tmp_path):
    return write_tree(
        tmp_path / "stick", {"metadata/timestamp.json": b"{}", "b.edgeb": b"B", "a.edgeb": b"A", "notes.txt": b""}
    )


def test_check_reports_steps_and_returns_what_is_new():
    steps = []
    with updater(POLLING, Step(phase=Phase.STAGING), Outcome(staged=("demo 1.1.0",))) as it:
        ending = check(it.path, steps.append)

    assert it.request == Check()
    assert [step.phase for step in steps] == [Phase.POLLING, Phase.STAGING]
    assert (ending.staged, ending.error, ending.deferred) == (("demo 1.1.0",), None, None)


def test_what_goes_wrong_while_a_step_is_shown_is_not_the_updaters_fault():
    def report(_step):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with updater(POLLING) as it, pytest.raises(BrokenPipeError):
        check(it.path, report)


def test_failure_is_the_error_it_was_beside_what_came_all_the_same():
    """So that the exit code is the one of its class."""
    failure = Failure(code="metadata-rollback", message="older", hint="copy again", subject="demo 1.0.0")
    with updater(Outcome(staged=("other 1.0.0",), failure=failure)) as it:
        ending = check(it.path, lambda _: None)

    assert ending.staged == ("other 1.0.0",)
    assert type(ending.error) is MetadataRollbackError
    assert (ending.error.message, ending.error.hint) == ("demo 1.0.0: older", "copy again")


def test_busy_updater_is_told_apart():
    with updater(Outcome(failure=Failure(code="unavailable", message="busy"))) as it:
        assert isinstance(check(it.path, lambda _: None).error, UnavailableError)


def test_what_is_put_off_is_returned():
    deferred = Deferred(cause="metered", message="metered")
    with updater(Outcome(deferred=deferred)) as it:
        assert check(it.path, lambda _: None).deferred == deferred


def test_files_are_opened_for_the_refresh(stick):
    (stick / "link").symlink_to("/etc/passwd")
    script = [
        OpenFile(path="metadata/timestamp.json"),
        ListPacks(),
        OpenFile(path="a.edgeb"),
        OpenFile(path="absent"),
        OpenFile(path="link"),
    ]
    with updater(*script, POLLING, Outcome()) as it:
        apply(it.path, stick, lambda _: None)

    assert it.request == Apply()
    assert it.replies[:4] == [
        (Opened(path="metadata/timestamp.json"), b"{}"),
        (Packs(names=("a.edgeb", "b.edgeb")),),
        (Opened(path="a.edgeb"), b"A"),
        (NotOpened(path="absent", cause="missing", reason="No such file or directory"),),
    ]
    assert it.replies[4][0].cause == "refused"


def test_one_packed_bundle_goes_with_what_is_beside_it(stick):
    with updater(ListPacks(), OpenFile(path="metadata/timestamp.json"), Outcome()) as it:
        apply(it.path, stick / "b.edgeb", lambda _: None)

    assert it.replies == [(Packs(names=("b.edgeb",)),), (Opened(path="metadata/timestamp.json"), b"{}")]


def test_names_that_no_document_can_hold_and_too_many_packs_are_left_out(tmp_path):
    (tmp_path / "many").mkdir()
    for number in range(MAX_PACKS + 5):
        (tmp_path / "many" / f"{number:03}.edgeb").touch()
    with open(os.fsencode(tmp_path) + b"/many/000\xff.edgeb", "wb"):  # noqa: PTH123 - no name that a Path should have
        pass
    with updater(ListPacks(), Outcome()) as it:
        apply(it.path, tmp_path / "many", lambda _: None)

    assert it.replies == [(Packs(names=tuple(f"{number:03}.edgeb" for number in range(MAX_PACKS))),)]


def test_nothing_is_opened_for_a_check():
    with updater(OpenFile(path="etc/passwd"), ListPacks(), Outcome()) as it:
        check(it.path, lambda _: None)

    assert [(reply.cause, reply.path) for (reply,) in it.replies] == [("refused", "etc/passwd"), ("refused", None)]


def test_directory_that_is_not_there_is_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(UsageError, match="absent"):
        apply("/nonexistent", tmp_path / "absent", lambda _: None)


@pytest.mark.parametrize("script", [[], [POLLING], [b"no document"], [b'{"type":"outcome","x":1}']])
def test_updater_that_ends_or_raves_is_named(script):
    with updater(*script) as it, pytest.raises(DaemonUnreachableError) as caught:
        check(it.path, lambda _: None)

    assert "journalctl" in caught.value.hint


def test_updater_that_is_not_there(tmp_path):
    with pytest.raises(DaemonUnreachableError, match="does not answer") as caught:
        check(str(tmp_path / "absent"), lambda _: None)

    assert "edged-update" in caught.value.hint


def test_socket_that_may_not_be_opened(monkeypatch):
    """The kernel refuses by mode and group; root, who may run this test, is refused by nobody."""

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(NotPermittedError) as caught:
        check("/run/control", lambda _: None)

    assert "edged-admin" in caught.value.hint
