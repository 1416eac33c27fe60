"""Fetching through the real gate from a web server that misbehaves."""

import ssl

import pytest
from tuf.api.exceptions import DownloadHTTPError, DownloadLengthMismatchError

from edged.clock import SystemClock
from edged.errors import (
    FetchError,
    FileMissingError,
    GateRefusedError,
    HostUnreachableError,
    PortalError,
    ProxyError,
    TlsError,
)
from edged.update.origins.fetcher import GateFetcher, Host
from tests.fakes.gates import running_gate, short_directory
from tests.fakes.static_host import Fault, static_host

BODY = bytes(range(256)) * 1000


@pytest.fixture
def web(tmp_path):
    (tmp_path / "www").mkdir()
    (tmp_path / "www/file").write_bytes(BODY)
    (tmp_path / "www/empty").write_bytes(b"")
    with static_host(tmp_path / "www") as host:
        yield host


@pytest.fixture
def gate(web):
    with running_gate(allow_private=[f"{web.name}:{web.port}"]) as running:
        yield running


@pytest.fixture
def host(gate):
    made = Host(gate=gate.path, timeout_s=60.0, clock=SystemClock())
    yield made
    made.close()


def test_files_come_over_one_connection(web, gate, host):
    """Also after an error, whose body is read and dropped."""
    assert host.read(f"{web.url}file", max_bytes=len(BODY)) == BODY
    assert host.read(f"{web.url}empty", max_bytes=10) == b""
    with pytest.raises(FileMissingError):
        host.read(f"{web.url}absent", max_bytes=10)
    assert host.read(f"{web.url}file", max_bytes=len(BODY)) == BODY

    assert web.connections == 1
    assert gate.gate.counters.tunnels == 1


def test_chunked_body_is_read(web, host):
    web.is_chunked = True

    assert host.read(f"{web.url}file", max_bytes=len(BODY)) == BODY
    assert host.read(f"{web.url}empty", max_bytes=1) == b""
    assert web.connections == 1


def test_body_over_the_limit_is_refused(web, host):
    with pytest.raises(DownloadLengthMismatchError):
        host.read(f"{web.url}file", max_bytes=len(BODY) - 1)

    assert host.read(f"{web.url}file", max_bytes=len(BODY)) == BODY


def test_range_is_asked_for_and_checked(web, host):
    with host.open(f"{web.url}file", first_byte=1000, last_byte=1999) as stream:
        assert (stream.start, stream.total) == (1000, len(BODY))
        assert b"".join(stream.blocks) == BODY[1000:2000]


def test_host_that_ignores_ranges_is_seen(web, host):
    web.ignores_range = True

    with host.open(f"{web.url}file", first_byte=1000, last_byte=1999) as stream:
        assert (stream.start, stream.total) == (0, len(BODY))


@pytest.mark.parametrize("size", ["\u00b2", "x", pytest.param("9" * 5000, id="more digits than int() takes")])
def test_range_beyond_an_end_that_is_no_number_tells_no_size(web, host, size):
    web.faults["file"] = Fault(status=416, body=b"", fields=(("Content-Range", f"bytes */{size}"),))

    with host.open(f"{web.url}file", first_byte=0, last_byte=9) as stream:
        assert (list(stream.blocks), stream.total) == ([], None)


def test_range_beyond_the_end_tells_the_size(web, host):
    with host.open(f"{web.url}file", first_byte=len(BODY), last_byte=len(BODY) + 9) as stream:
        assert (list(stream.blocks), stream.total) == ([], len(BODY))


@pytest.mark.parametrize(
    "fields",
    [
        "bytes 0-999/256000",
        "bytes */256000",
        "lines 1000-1999/256000",
        "bytes 1000-1999/x",
        "bytes \u00b2-1999/256000",
        "bytes 1000-1999/\u00b2",
        pytest.param(f"bytes 1000-1999/{'9' * 5000}", id="more digits than int() takes"),
    ],
)
def test_range_that_was_not_asked_for_is_refused(web, host, fields):
    web.faults["file"] = Fault(status=206, body=BODY[:1000], fields=(("Content-Range", fields),))

    with pytest.raises(FetchError, match="not asked for"), host.open(f"{web.url}file", first_byte=1000, last_byte=1999):
        pass


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (Fault(body=b"<html>Log in", content_type="text/html; charset=utf-8"), PortalError, "answers with text/html"),
        (Fault(body=b"x", fields=(("Content-Encoding", "gzip"),)), PortalError, "gzip"),
        (
            Fault(status=302, fields=(("Location", "http://portal.test/"),)),
            PortalError,
            "redirects to http://portal.test/",
        ),
        (Fault(status=511), PortalError, "wants a login"),
        (Fault(status=407), ProxyError, "status 407"),
        (Fault(status=502), ProxyError, "status 502"),
        (Fault(status=504), ProxyError, "status 504"),
        (Fault(status=500), FetchError, "status 500"),
        (Fault(status=503), FetchError, "status 503"),
        (Fault(status=403), FileMissingError, "status 403"),
        (Fault(status=404), FileMissingError, "status 404"),
        (Fault(cut_after=1000), HostUnreachableError, "ended after|no complete answer"),
        (Fault(cut_after=0), HostUnreachableError, "ended after|no complete answer"),
    ],
)
def test_what_is_not_a_file_has_a_name(web, host, fault, error, message):
    web.faults["file"] = fault

    with pytest.raises(FetchError, match=message) as caught:
        host.read(f"{web.url}file", max_bytes=len(BODY))

    assert type(caught.value) is error
    assert caught.value.hint
    web.heal()
    assert host.read(f"{web.url}file", max_bytes=len(BODY)) == BODY


def test_connection_closed_while_idle_is_opened_again(web, gate, host):
    """The host may close a kept-alive connection at any time; that is no failure."""
    assert host.read(f"{web.url}empty", max_bytes=1) == b""
    web.faults["empty"] = Fault(fields=(("Connection", "close"),), times=1)
    host.read(f"{web.url}empty", max_bytes=1)

    assert host.read(f"{web.url}file", max_bytes=len(BODY)) == BODY


class Racing(SystemClock):
    """Each look at it is so many seconds later than the one before."""

    def __init__(self, step_s):
        self.step_s = step_s
        self.now_s = 0.0

    def monotonic_s(self):
        self.now_s += self.step_s
        return self.now_s


@pytest.mark.parametrize(("min_bytes_per_s", "is_given_up"), [(256, True), (1, False), (0, False)])
def test_slow_host_is_given_up(web, gate, min_bytes_per_s, is_given_up):
    """Every single answer is in time; all of them together are not."""
    host = Host(gate=gate.path, timeout_s=60.0, clock=Racing(500.0), min_bytes_per_s=min_bytes_per_s)
    try:
        if is_given_up:
            with pytest.raises(HostUnreachableError, match="too slowly") as caught:
                host.read(f"{web.url}file", max_bytes=len(BODY))
            assert "min_bytes_per_s" in caught.value.hint
        else:
            assert host.read(f"{web.url}file", max_bytes=len(BODY)) == BODY
    finally:
        host.close()


def test_every_byte_of_a_body_is_counted(web, gate):
    counted = []
    host = Host(gate=gate.path, timeout_s=60.0, clock=SystemClock(), on_bytes=counted.append)

    host.read(f"{web.url}file", max_bytes=len(BODY))
    with host.open(f"{web.url}file", first_byte=1000, last_byte=1999) as stream:
        assert len(b"".join(stream.blocks)) == 1000

    assert sum(counted) == len(BODY) + 1000
    host.close()


def test_whoever_counts_may_end_a_body_and_the_next_one_comes_whole(web, gate):
    class EnoughError(Exception):
        pass

    def count(_size):
        if is_limited:
            raise EnoughError

    is_limited = True
    host = Host(gate=gate.path, timeout_s=60.0, clock=SystemClock(), on_bytes=count)
    with pytest.raises(EnoughError):
        host.read(f"{web.url}file", max_bytes=len(BODY))

    is_limited = False
    assert host.read(f"{web.url}file", max_bytes=len(BODY)) == BODY
    host.close()


def test_gate_that_refuses_says_what_to_do(web, host):
    with pytest.raises(GateRefusedError, match="name-not-listed") as caught:
        host.read("http://elsewhere.test/", max_bytes=1)

    assert "allow" in caught.value.hint


def test_host_behind_the_gate_that_is_down(gate, web, tmp_path):
    with running_gate(allow_private=["models.test:1"]) as other:
        host = Host(gate=other.path, timeout_s=60.0, clock=SystemClock())
        with pytest.raises(HostUnreachableError, match="cannot be reached"):
            host.read("http://models.test:1/", max_bytes=1)


def test_gate_that_is_not_there(tmp_path):
    with short_directory() as directory:
        host = Host(gate=directory / "absent", timeout_s=60.0, clock=SystemClock())
        with pytest.raises(HostUnreachableError, match=r"gate .* does not answer") as caught:
            host.read("http://models.test/", max_bytes=1)

    assert "edged-egress" in caught.value.hint


def test_tuf_gets_its_own_error_for_missing_files(web, host):
    """Ngclient ends its search for newer roots at 404 only."""
    fetcher = GateFetcher(host)

    with pytest.raises(DownloadHTTPError) as caught:
        fetcher.download_bytes(f"{web.url}absent", 10)
    assert caught.value.status_code == 404
    with pytest.raises(DownloadHTTPError):
        list(fetcher.fetch(f"{web.url}absent"))
    assert b"".join(fetcher.fetch(f"{web.url}file")) == BODY


def test_https_goes_through_the_tunnel(tmp_path, certificate):
    """The name in the URL is the one that is verified; the gate only sees ciphertext."""
    (tmp_path / "file").write_bytes(BODY)
    tls = ssl.create_default_context(cafile=certificate)
    with (
        static_host(tmp_path, certificate=certificate) as web,
        running_gate(allow_private=[f"{web.name}:{web.port}"]) as gate,
    ):
        host = Host(gate=gate.path, timeout_s=60.0, clock=SystemClock(), tls=tls)
        assert host.read(f"{web.url}file", max_bytes=len(BODY)) == BODY
        assert host.read(f"{web.url}file", max_bytes=len(BODY)) == BODY
        assert web.connections == 1
        host.close()


def test_certificate_that_is_not_trusted_is_refused(tmp_path, certificate):
    with (
        static_host(tmp_path, certificate=certificate) as web,
        running_gate(allow_private=[f"{web.name}:{web.port}"]) as gate,
    ):
        host = Host(gate=gate.path, timeout_s=60.0, clock=SystemClock())
        with pytest.raises(TlsError, match=r"certificate of models\.test is not valid"):
            host.read(f"{web.url}file", max_bytes=len(BODY))
        host.close()
