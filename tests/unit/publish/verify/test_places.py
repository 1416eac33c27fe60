"""A directory and a web host are read alike; what a device would not take from a host is not taken here."""

import gzip

import pytest
from tuf.api.exceptions import DownloadLengthMismatchError

from edged.errors import FetchError, FileMissingError, HostUnreachableError, UsageError
from edged.publish.verify.places import DirectoryPlace, WebPlace, open_place, size_of
from tests.fakes.static_host import Fault, static_host


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata/timestamp.json").write_bytes(b"0123456789")
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


@pytest.fixture
def host(tree):
    with static_host(tree) as host:
        yield host


@pytest.fixture(params=["directory", "web"])
def place(request, tree, host):
    place = DirectoryPlace(tree) if request.param == "directory" else WebPlace(f"http://127.0.0.1:{host.port}/")
    yield place
    place.close()


@pytest.fixture
def web(host):
    place = WebPlace(f"http://127.0.0.1:{host.port}/")
    yield place
    place.close()


def test_files_are_read_whole_or_in_part(place):
    url = f"{place.url}metadata/timestamp.json"

    assert place.read(url, max_bytes=10) == b"0123456789"
    with place.open(url, first_byte=3, last_byte=5) as stream:
        assert (stream.start, stream.total, b"".join(stream.blocks)) == (3, 10, b"345")
    with pytest.raises(DownloadLengthMismatchError):
        place.read(url, max_bytes=9)
    assert place.read(url, max_bytes=10) == b"0123456789"


@pytest.mark.parametrize(("path", "size"), [("metadata/timestamp.json", 10), ("empty", 0)])
def test_size_is_found_without_reading_the_file(place, path, size):
    assert size_of(place, path) == size


def test_what_is_not_there_is_missing(place):
    with pytest.raises(FileMissingError):
        size_of(place, "blobs/aa/a")


@pytest.mark.parametrize(
    "text",
    [
        "http://[/",
        "http://:80/",
        "http://host:99999/",
        "https://user:word@host/",
        "https://host/?a=/",
        "https://host/#/",
        "https://h\u00f6st/",
        "https://host/a b/\x7f",
    ],
)
def test_what_is_no_address_of_a_repository_is_told_before_a_host_is_blamed(text):
    with pytest.raises(UsageError, match="is no address of a repository"):
        open_place(text)


@pytest.mark.parametrize("size", ["\u00b2", pytest.param("9" * 5000, id="more digits than int() takes")])
def test_a_size_that_is_no_number_is_none(web, host, size):
    host.faults["metadata/timestamp.json"] = Fault(
        status=206, body=b"0", fields=(("Content-Range", f"bytes 0-0/{size}"),)
    )

    with web.open(f"{web.url}metadata/timestamp.json", first_byte=0, last_byte=0) as stream:
        assert stream.total is None


def test_connection_is_kept_and_opened_again(web, host):
    for _ in range(3):
        size_of(web, "metadata/timestamp.json")
    assert host.connections == 1

    web.close()
    assert size_of(web, "metadata/timestamp.json") == 10
    assert host.connections == 2


def test_hosts_without_ranges_or_lengths_are_understood(web, host):
    host.ignores_range = True
    assert size_of(web, "metadata/timestamp.json") == 10
    host.is_chunked = True
    assert size_of(web, "metadata/timestamp.json") == 10


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=302, fields=(("Location", "http://elsewhere/"),)),
        Fault(status=500),
        Fault(content_type="text/html; charset=utf-8", body=b"<html>log in</html>"),
        Fault(body=gzip.compress(b"0123456789"), fields=(("Content-Encoding", "gzip"),)),
    ],
)
def test_answers_that_devices_refuse_are_refused(web, host, fault):
    host.faults["metadata/timestamp.json"] = fault
    with pytest.raises(FetchError):
        web.read(f"{web.url}metadata/timestamp.json", max_bytes=100)

    host.heal()
    assert web.read(f"{web.url}metadata/timestamp.json", max_bytes=100) == b"0123456789"


def test_a_host_that_does_not_answer_is_named(tree):
    with static_host(tree) as host:
        port = host.port
    with pytest.raises(HostUnreachableError):
        size_of(WebPlace(f"http://127.0.0.1:{port}/"), "empty")


def test_only_directories_can_be_listed(tree, web):
    assert DirectoryPlace(tree).sizes() == {"metadata/timestamp.json": 10, "empty": 0}
    assert web.sizes() is None


def test_places_are_told_apart_by_how_they_are_written(tree):
    assert isinstance(open_place(str(tree)), DirectoryPlace)
    assert open_place("https://models.example.com/tree").url == "https://models.example.com/tree/"
    with pytest.raises(UsageError):
        open_place(str(tree / "nothing"))
