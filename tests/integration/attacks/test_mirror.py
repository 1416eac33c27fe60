"""A host that is not the publisher's any more, or not yet reached: pages, redirects, encodings, data without end, and hardly any data."""

import pytest

from edged.clock import SystemClock
from edged.errors import EdgedError
from tests.fakes.forgers import Forger
from tests.fakes.static_host import Fault

PAGE = b"<html><body>Log in to go on</body></html>"
LONG = 10_000_000
EACH = ["metadata/2.root.json", "metadata/timestamp.json", "snapshot", "m-demo", "rollout", "manifest", "index", "blob"]
"""Of stage three, everything that the device would fetch, in order."""


def path_of(scene, name):
    if name.startswith("metadata/"):
        return name
    root = scene.web.root
    model = scene.past.newest.variants[0].files[0]
    places = {
        "rollout": lambda: max((root / "targets/ops").glob("*.rollout.json"), key=lambda path: path.stat().st_mtime_ns),
        "manifest": lambda: next((root / "targets/models/demo/1.2.0").iterdir()),
        "index": lambda: root / "index" / model.sha256,
        "blob": lambda: root / "blobs" / model.sha256[:2] / model.sha256,
    }
    found = places[name]() if name in places else Forger(root, scene.past.publisher.keys).path(name)
    return str(found.relative_to(root))


def attack(scene, name, fault):
    """Show what is new, with a fault in one place; return what the device shows."""
    scene.show("third")
    scene.web.faults[path_of(scene, name)] = fault
    codes = scene.poll()
    assert {path for path in scene.changed() if path.startswith("bundles")} == set()
    return codes


@pytest.mark.parametrize("name", EACH)
def test_page_in_place_of_a_file_is_named(scene, name):
    """A captive portal, or a host that was taken over, answers with a page and status 200."""
    assert attack(scene, name, Fault(body=PAGE, content_type="text/html")) == {"captive-portal"}
    assert scene.recovers()


@pytest.mark.parametrize("name", EACH)
def test_page_that_says_to_be_a_file_is_not_believed(scene, name):
    """The same, and it does not say that it is a page: in the place of metadata it is recognised all the same."""
    assert attack(scene, name, Fault(body=PAGE)) <= {"captive-portal", "digest-mismatch"}


@pytest.mark.parametrize("name", EACH)
def test_redirect_is_not_followed(scene, name):
    """Where it leads is for the device's administrator to say, not for the host."""
    elsewhere = (("Location", "http://elsewhere.test/file"),)

    assert attack(scene, name, Fault(status=302, body=b"", fields=elsewhere)) <= {"captive-portal", "fetch-failed"}


@pytest.mark.parametrize("name", EACH)
def test_compressed_answer_is_not_unpacked(scene, name):
    """Nobody asked for it; a few kilobytes of it may become as many gigabytes."""
    assert attack(scene, name, Fault(body=b"x", fields=(("Content-Encoding", "gzip"),))) <= {
        "captive-portal",
        "fetch-failed",
    }


@pytest.mark.parametrize("name", EACH)
def test_data_without_end_are_cut_off(scene, name):
    """The answer has no length and never ends; the test would not either, if anybody read on."""
    assert attack(scene, name, Fault(body=b"{", is_endless=True)) == {"digest-mismatch"}


@pytest.mark.parametrize("name", EACH)
def test_file_longer_than_any_is_not_read_to_its_end(scene, name):
    assert attack(scene, name, Fault(body=bytes(LONG))) == {"digest-mismatch"}


@pytest.mark.parametrize(
    "fields", [tuple(("X-More", str(n)) for n in range(1000)), (("X-Long", "x" * 100_000),)], ids=["many", "long"]
)
@pytest.mark.parametrize("name", ["metadata/timestamp.json", "blob"])
def test_header_without_end_is_cut_off(scene, name, fields):
    assert attack(scene, name, Fault(fields=fields)) == {"host-unreachable"}


def test_error_without_end_is_cut_off(scene):
    """An answer that there is no newer root, with a body that never ends, is taken for what it says."""
    scene.web.faults["metadata/2.root.json"] = Fault(status=404, body=b"no", is_endless=True)

    assert scene.poll() == set()


class Racing(SystemClock):
    """Minutes pass between any two looks at it."""

    now_s = 0.0

    def monotonic_s(self):
        self.now_s += 500.0
        return self.now_s


@pytest.mark.parametrize("name", ["metadata/timestamp.json", "blob"])
def test_slow_host_is_given_up(scene, name):
    """Each block is in time, all of them together never would be. Only the clock is made up."""
    scene.show("third")
    racing = path_of(scene, name)
    with scene.device() as it:
        honest = it.host.open

        def open_slowly(url, **options):
            it.host._clock = Racing() if url.endswith(racing) else SystemClock()
            return honest(url, **options)

        it.host.open = open_slowly
        assert code_of(it) == {"host-unreachable"}
    assert {path for path in scene.changed() if path.startswith("bundles")} == set()
    assert scene.recovers()


@pytest.mark.parametrize("sent", [0, 20])
@pytest.mark.parametrize("name", ["metadata/timestamp.json", "blob"])
def test_host_that_falls_silent_is_given_up(scene, name, sent):
    scene.show("third")
    scene.web.faults[path_of(scene, name)] = Fault(stall_after=sent)
    with scene.device() as it:
        it.host._timeout_s = 0.3
        assert code_of(it) == {"host-unreachable"}
    assert scene.recovers()


def code_of(it):
    try:
        return {one.error.code for one in it.poll().undone}
    except EdgedError as error:
        return {error.code}
