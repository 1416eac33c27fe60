import http.client
import threading

import pytest

from edged.publish.repository.server import StaticServer, parse_range

DATA = bytes(range(256)) * 10


@pytest.fixture
def root(tmp_path):
    directory = tmp_path / "repo"
    (directory / "blobs").mkdir(parents=True)
    (directory / "blobs/data").write_bytes(DATA)
    (directory / "blobs/empty").write_bytes(b"")
    (directory / ".metadata.lock").write_text("hidden")
    (tmp_path / "secret").write_text("outside")
    (directory / "way-out").symlink_to(tmp_path / "secret")
    return directory


@pytest.fixture
def connection(root):
    with StaticServer(root) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        try:
            yield client
        finally:
            client.close()
            server.shutdown()
            thread.join()


def get(connection, path, method="GET", **headers):
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer, answer.read()


@pytest.mark.parametrize(
    ("header", "size", "part"),
    [
        ("bytes=0-0", 10, (0, 1)),
        ("bytes=0-9", 10, (0, 10)),
        ("bytes=3-", 10, (3, 7)),
        ("bytes=3-99", 10, (3, 7)),
        ("bytes=-4", 10, (6, 4)),
        ("bytes=-99", 10, (0, 10)),
        ("bytes=5-4", 10, None),
        ("bytes=0-1,4-5", 10, None),
        ("lines=0-1", 10, None),
        ("bytes=", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=-", 10, None),
    ],
)
def test_range_is_read_as_the_specification_says(header, size, part):
    """RFC 9110, section 14.1.2; what is not understood is ignored, and the whole file sent."""
    assert parse_range(header, size) == part


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)]
)
def test_range_beyond_the_file_cannot_be_satisfied(header, size):
    with pytest.raises(ValueError, match="no bytes"):
        parse_range(header, size)


def test_whole_file(connection):
    answer, body = get(connection, "/blobs/data")

    assert (answer.status, body) == (200, DATA)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Length"] == str(len(DATA))


def test_empty_file(connection):
    answer, body = get(connection, "/blobs/empty")

    assert (answer.status, body, answer.headers["Content-Length"]) == (200, b"", "0")


def test_part_of_a_file(connection):
    answer, body = get(connection, "/blobs/data", Range="bytes=100-199")

    assert (answer.status, body) == (206, DATA[100:200])
    assert answer.headers["Content-Range"] == f"bytes 100-199/{len(DATA)}"


def test_part_beyond_the_file(connection):
    answer, _ = get(connection, "/blobs/data", Range="bytes=999999-")

    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"


def test_part_of_a_file_that_changed_is_the_whole_new_file(connection):
    answer, body = get(connection, "/blobs/data", Range="bytes=100-199", If_Range='"another"')

    assert (answer.status, body) == (200, DATA)


def test_unchanged_file_is_not_sent_again(connection, root):
    etag = get(connection, "/blobs/data")[0].headers["ETag"]

    for value in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer, body = get(connection, "/blobs/data", If_None_Match=value)
        assert (answer.status, body, answer.headers["ETag"]) == (304, b"", etag)
    (root / "blobs/data").write_bytes(b"changed")
    assert get(connection, "/blobs/data", If_None_Match=etag)[1] == b"changed"


def test_head_sends_no_body(connection):
    answer, body = get(connection, "/blobs/data", method="HEAD")

    assert (answer.status, body, answer.headers["Content-Length"]) == (200, b"", str(len(DATA)))


def test_connection_is_kept_open(connection):
    get(connection, "/blobs/data")
    before = connection.sock
    for path in ("/nothing", "/blobs/data", "/blobs/empty"):
        get(connection, path)

    assert connection.sock is before is not None


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/",
        "//secret",
        "/blobs",
        "/blobs/",
        "/blobs/data/x",
        "/blobs/%00",
        "/blobs/..%2f..%2fsecret",
        "/.metadata.lock",
        "/../secret",
        "/%2e%2e/secret",
        "/way-out",
        "/" + "x" * 5000,
    ],
)
def test_nothing_else_is_served(connection, path):
    """No listings, nothing hidden, nothing outside the directory, not even through a link in it."""
    assert get(connection, path)[0].status == 404


def test_other_methods_are_refused(connection):
    assert get(connection, "/blobs/data", method="POST")[0].status == 501


def test_query_is_ignored(connection):
    assert get(connection, "/blobs/data?x=1")[1] == DATA


def test_access_lines_go_to_standard_error_when_asked_for(root, capsys):
    with StaticServer(root, prints_access=True) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        get(client, "/nothing")
        client.close()
        server.shutdown()
        thread.join()

    assert '"GET /nothing HTTP/1.1" 404' in capsys.readouterr().err


def test_a_limited_rate_spreads_a_body_over_time(root):
    pauses_s = []
    with StaticServer(root, bytes_per_s=5120, pause=pauses_s.append) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        _, body = get(client, "/blobs/data")
        client.close()
        server.shutdown()
        thread.join()

    assert body == DATA
    assert sum(pauses_s) == pytest.approx(len(DATA) / 5120)
    assert len(pauses_s) == 10


def test_url_names_the_port_that_was_free(root):
    with StaticServer(root) as server:
        assert server.url == f"http://127.0.0.1:{server.server_port}/"
