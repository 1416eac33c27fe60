"""Listening sockets, inherited or bound."""

import os
import socket
import stat

import pytest

from edged.sockets import activated, bind_unix
from tests.fakes.gates import short_directory


@pytest.fixture
def directory():
    with short_directory() as path:
        yield path


@pytest.mark.parametrize("mode", [0o660, 0o600, 0o666])
def test_bound_socket_has_exactly_the_mode(directory, mode):
    """Whatever the umask of the process is."""
    old = os.umask(0o027)
    try:
        with bind_unix(directory / "s", mode=mode):
            assert stat.S_IMODE((directory / "s").stat().st_mode) == mode
            assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)


def test_bound_socket_gets_the_group(directory):
    if os.getuid() != 0:
        pytest.skip("only root may give files to other groups")
    with bind_unix(directory / "s", mode=0o660, group=4242):
        assert (directory / "s").stat().st_gid == 4242


def test_stale_socket_file_is_replaced(directory):
    bind_unix(directory / "s", mode=0o600).close()

    with bind_unix(directory / "s", mode=0o600), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(directory / "s"))


def test_socket_in_use_is_left_alone(directory):
    with bind_unix(directory / "s", mode=0o600):
        with pytest.raises(OSError, match="another process listens"):
            bind_unix(directory / "s", mode=0o600)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(directory / "s"))


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_sockets_of_either_kind_are_bound_and_replaced_when_stale(directory, kind):
    bind_unix(directory / "s", mode=0o600, kind=kind).close()

    with bind_unix(directory / "s", mode=0o600, kind=kind), socket.socket(socket.AF_UNIX, kind) as client:
        client.connect(str(directory / "s"))
        with pytest.raises(OSError, match="another process listens"):
            bind_unix(directory / "s", mode=0o600, kind=kind)


def test_a_socket_of_the_other_kind_is_left_alone(directory):
    with (
        bind_unix(directory / "s", mode=0o600, kind=socket.SOCK_SEQPACKET),
        pytest.raises(OSError, match="another process listens"),
    ):
        bind_unix(directory / "s", mode=0o600)


def test_other_files_are_never_replaced(directory):
    (directory / "s").write_text("mine")

    with pytest.raises(OSError, match="not a socket"):
        bind_unix(directory / "s", mode=0o600)

    assert (directory / "s").read_text() == "mine"


def passed(names: str, count: int) -> dict[str, str]:
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": names}


def test_passed_socket_is_found_by_name(directory):
    with bind_unix(directory / "a", mode=0o600) as first, bind_unix(directory / "b", mode=0o600) as second:
        base = 200
        os.dup2(first.fileno(), base)
        os.dup2(second.fileno(), base + 1)
        with (
            activated("admin", environ=passed("app:admin", 2), first_fd=base) as admin,
            activated("app", environ=passed("app:admin", 2), first_fd=base) as app,
        ):
            assert admin.getsockname() == str(directory / "b")
            assert app.getsockname() == str(directory / "a")
            assert not app.get_inheritable()


@pytest.mark.parametrize(
    "environ",
    [{}, {**passed("proxy", 1), "LISTEN_PID": "1"}, passed("app", 1), passed("app:proxy", 1)],
    ids=["none", "another process", "another name", "more names than sockets"],
)
def test_nothing_is_taken_that_was_not_passed(environ):
    assert activated("proxy", environ=environ) is None
