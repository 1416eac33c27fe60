"""Who is behind a socket: the kernel's word for the user and for which process lives, /proc's for the unit."""

import os
import pwd
import socket
import subprocess
import sys

import pytest

from edged.callers import who
from edged.callers.who import can_see_units, identify, user_name
from tests.fakes.open_files import open_files
from tests.fakes.peers import needs_peer_pidfds, say_unit


@pytest.fixture
def pair():
    """Two connected sockets, whose peer is this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        yield ours


@pytest.fixture
def proc(tmp_path):
    """A /proc in which this process belongs to a unit."""
    return say_unit(tmp_path, os.getpid(), "kiosk.service")


CONNECT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1])
    sock.recv(1)
"""


@pytest.fixture
def visitor(tmp_path):
    """A connection from another process, with that process; sending it a byte ends it."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        # Not with multiprocessing, which leaves a process of its own behind that outlives the test.
        with subprocess.Popen([sys.executable, "-I", "-c", CONNECT, path]) as process:
            connection, _ = listener.accept()
            with connection:
                yield connection, process


def test_user_is_known_by_number_and_name(pair, proc):
    caller = identify(pair, proc=proc)

    assert caller.uid == os.getuid()
    assert caller.user == pwd.getpwuid(os.getuid()).pw_name


def test_user_without_a_name_is_called_by_number():
    assert user_name(4_000_000_000) == "4000000000"


def test_name_is_looked_up_once(monkeypatch):
    lookups = []

    def look_up(uid):
        lookups.append(uid)
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", look_up)

    assert {user_name(4_000_000_001) for _ in range(3)} == {"4000000001"}
    assert len(lookups) == 1


@needs_peer_pidfds
def test_unit_is_that_of_the_process_that_connected(visitor, tmp_path):
    connection, process = visitor
    caller = identify(connection, proc=say_unit(tmp_path, process.pid, "kiosk.service"))

    assert caller.unit == "kiosk.service"
    connection.send(b".")


@needs_peer_pidfds
def test_number_of_a_process_that_ended_says_nothing(visitor, tmp_path):
    """Another process may have it by now: what /proc says of it is not believed."""
    connection, process = visitor
    caller = identify(connection, proc=say_unit(tmp_path, process.pid, "kiosk.service"))
    connection.send(b".")
    process.wait()

    assert caller.unit is None


@needs_peer_pidfds
def test_process_that_ends_while_its_unit_is_read_has_none(pair, proc, monkeypatch):
    monkeypatch.setattr(who, "_is_alive", lambda pidfd: False)

    assert identify(pair, proc=proc).unit is None


@needs_peer_pidfds
def test_descriptor_of_a_process_says_whether_it_lives(visitor):
    connection, process = visitor
    pidfd = who._peer_pidfd(connection)
    try:
        assert who._is_alive(pidfd)
        connection.send(b".")
        process.wait()
        assert not who._is_alive(pidfd)
    finally:
        os.close(pidfd)


def test_hidden_process_has_no_unit(pair, tmp_path):
    assert identify(pair, proc=tmp_path).unit is None


def test_process_of_another_namespace_has_no_unit(pair, proc):
    """The kernel gives its number as 0."""
    (proc / "0").symlink_to(str(os.getpid()))

    assert who._read_unit(pair, 0, proc) is None


def test_older_kernel_knows_no_units(pair, proc, monkeypatch):
    monkeypatch.setattr(who, "SO_PEERPIDFD", 9999)

    assert identify(pair, proc=proc).unit is None
    assert not can_see_units(proc=say_unit(proc, 1, "init.scope"))


def test_closed_connection_has_no_unit(proc):
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        caller = identify(ours, proc=proc)

    assert caller.unit is None


@needs_peer_pidfds
def test_no_descriptor_is_left_open(pair, proc):
    before = open_files(among="pidfd")
    for _ in range(3):
        identify(pair, proc=proc).unit  # noqa: B018 - reading it opens and closes descriptors

    assert open_files(among="pidfd") == before


@needs_peer_pidfds
def test_units_can_be_seen_where_proc_shows_other_users_processes(tmp_path):
    assert not can_see_units(proc=tmp_path)
    assert can_see_units(proc=say_unit(tmp_path, 1, "init.scope"))
