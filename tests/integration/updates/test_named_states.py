"""Every trouble between a device and its repository has a name and says what to do, and none of them touches what is in the store.

All of it goes through the real gate, to a real web server; a refresh is what its process runs.
"""

import shutil
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from edged.config.schema import Config, PathsConfig, RepositoryConfig, UpdateConfig
from edged.update.protocol.messages import Task
from edged.update.refresh.finding import find
from tests.fakes.clocks import ManualClock
from tests.fakes.gates import resolve_nothing, running_gate
from tests.fakes.repositories import Publisher
from tests.fakes.static_host import Fault, static_host
from tests.fakes.updates import Reports, blob_path

TIMESTAMP = "metadata/timestamp.json"
PAGE = b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Log in to go on</body></html>\n"
DAY_S = 86_400.0


class Device:
    """One that has 1.0.0 and is about to fetch 1.1.0."""

    def __init__(self, directory, publisher, web):
        self.store = directory / "store"
        self.publisher, self.web = publisher, web
        self.clock = ManualClock(unix_s=datetime.now(UTC).timestamp())

    def refresh(self, *, gate=None, url=None, **update):
        """Run a refresh; without a gate through one that leads to the web server."""
        with ExitStack() as stack:
            if gate is None:
                gate = stack.enter_context(running_gate(allow_private=[f"{self.web.name}:{self.web.port}"])).path
            config = Config(
                repository=RepositoryConfig(url=url or self.web.url, root=str(self.publisher.root_metadata)),
                paths=PathsConfig(store=str(self.store), gate_socket=str(gate)),
                update=UpdateConfig(**{"disk_reserve_bytes": 0, "timeout_s": 5.0, **update}),
            )
            return find(Task(config=config, checked_unix_s={}), self.clock, Reports(), on_answer=lambda: None)

    def acted_on(self):
        """Return every byte that the daemon could act on, but the time at which the repository was seen."""
        files = [path for top in ("bundles", "ops") for path in (self.store / top).rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files if path.name != "standing.json"}

    def has(self, version):
        return (self.store / "bundles/demo" / version / "manifest.json").is_file()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A repository, a store that has its first version, and the manifest of the second."""
    directory = tmp_path_factory.mktemp("world")
    publisher = Publisher(directory / "publisher")
    publisher.release("1.0.0")
    with static_host(publisher.root) as web:
        assert Device(directory, publisher, web).refresh().failure is None
    return publisher, directory / "store", publisher.release("1.1.0")


@pytest.fixture(scope="module")
def web(world):
    with static_host(world[0].root) as host:
        yield host


@pytest.fixture
def blob(world):
    return blob_path(world[2])


@pytest.fixture
def it(world, web, tmp_path):
    """Checked after each test: what runs was not touched, and once the trouble is over the update comes."""
    publisher, store, _ = world
    shutil.copytree(store, tmp_path / "store")
    web.heal()
    made = Device(tmp_path, publisher, web)
    before = made.acted_on()
    yield made
    after = made.acted_on()
    assert {path: after.get(path) for path in before if "/bundles/" in path} == {
        path: data for path, data in before.items() if "/bundles/" in path
    }
    web.heal()
    made.clock = ManualClock(unix_s=datetime.now(UTC).timestamp())
    assert made.refresh().failure is None
    assert made.has("1.1.0")


def told(found):
    """Return the name of a trouble, after a look at whether it says what to do and is tried again."""
    assert found.staged == ()
    assert found.failure.hint
    assert found.settled is None
    return found.failure.code


def test_gate_that_is_not_there(it, tmp_path):
    found = it.refresh(gate=tmp_path / "no.sock")

    assert told(found) == "host-unreachable"
    assert "edged-egress" in found.failure.hint


def test_host_that_does_not_answer(it):
    with running_gate(allow_private=["models.test:1"]) as gate:
        assert told(it.refresh(gate=gate.path, url="http://models.test:1/")) == "host-unreachable"


def test_name_without_an_address(it, web):
    with running_gate(allow_private=[f"{web.name}:{web.port}"], resolve=resolve_nothing) as gate:
        found = it.refresh(gate=gate.path)

    assert told(found) == "name-unresolved"
    assert "name servers" in found.failure.hint


def test_name_that_the_gate_does_not_allow(it, web):
    with running_gate() as gate:
        found = it.refresh(gate=gate.path)

    assert told(found) == "egress-refused"
    assert "[egress] allow" in found.failure.hint


def test_host_that_speaks_no_tls(it, web):
    found = it.refresh(url=web.url.replace("http:", "https:"))

    assert told(found) == "tls-failed"
    assert "repository.url" in found.failure.hint


def test_host_whose_certificate_nobody_trusts(it, world, certificate):
    with (
        static_host(world[0].root, certificate=certificate) as secure,
        running_gate(allow_private=[f"{secure.name}:{secure.port}"]) as gate,
    ):
        found = it.refresh(gate=gate.path, url=secure.url)

    assert told(found) == "tls-failed"
    assert "clock" in found.failure.hint


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream"])
def test_captive_portal_in_place_of_everything(it, web, kind):
    """Whether or not it says that what it sends is a page."""
    page = Fault(body=PAGE, content_type=kind)
    for name in (TIMESTAMP, "metadata/2.root.json"):
        web.faults[name] = page
    found = it.refresh()

    assert told(found) == "captive-portal"
    assert "login page" in found.failure.hint


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream"])
def test_captive_portal_in_place_of_the_timestamp(it, web, kind):
    web.faults[TIMESTAMP] = Fault(body=PAGE, content_type=kind)

    assert told(it.refresh()) == "captive-portal"


def test_captive_portal_that_redirects(it, web):
    web.faults[TIMESTAMP] = Fault(status=302, fields=(("Location", "http://login.test/"),))

    assert told(it.refresh()) == "captive-portal"


def test_network_that_asks_for_a_login(it, web):
    web.faults["metadata/2.root.json"] = Fault(status=511, body=PAGE, content_type="text/html")

    assert told(it.refresh()) == "captive-portal"


def test_captive_portal_in_place_of_a_blob(it, web, blob):
    web.faults[blob] = Fault(body=PAGE, content_type="text/html")
    found = it.refresh()

    assert told(found) == "captive-portal"
    assert found.failure.subject == "demo 1.1.0"


def test_captive_portal_in_place_of_a_blob_that_does_not_say_so(it, web, blob):
    """Its bytes are not the signed ones, and more is not known."""
    web.faults[blob] = Fault(body=PAGE)

    assert told(it.refresh()) == "digest-mismatch"


@pytest.mark.parametrize("status", [407, 502, 504])
@pytest.mark.parametrize("is_blob", [False, True])
def test_proxy_that_answers_in_place_of_the_host(it, web, blob, status, is_blob):
    web.faults[blob if is_blob else TIMESTAMP] = Fault(status=status, body=PAGE, content_type="text/html")
    found = it.refresh()

    assert told(found) == "proxy-refused"
    assert "proxy" in found.failure.hint


def test_host_that_has_a_problem(it, web):
    web.faults[TIMESTAMP] = Fault(status=503)

    assert told(it.refresh()) == "fetch-failed"


@pytest.mark.parametrize("size", [0, 1, 200])
def test_timestamp_that_the_host_has_cut(it, web, size):
    """Its answer is whole in itself; the connection is not to blame."""
    web.truncate(TIMESTAMP, size)

    assert told(it.refresh()) == "trust-failed"


def test_timestamp_whose_connection_ends_early(it, web):
    web.faults[TIMESTAMP] = Fault(cut_after=100)

    assert told(it.refresh()) == "host-unreachable"


def test_host_that_is_too_slow(it, web, blob):
    web.faults[blob] = Fault(stall_after=100)

    assert told(it.refresh(timeout_s=0.2)) == "host-unreachable"


def test_metadata_that_is_expired(it):
    it.clock.advance(400 * DAY_S)
    found = it.refresh()

    assert told(found) == "metadata-expired"
    assert "resign" in found.failure.hint


def test_disk_without_room(it):
    found = it.refresh(disk_reserve_bytes=1 << 60)

    assert told(found) == "disk-full"
    assert "disk_reserve_bytes" in found.failure.hint


def test_trusted_root_that_is_not_there(it, tmp_path):
    root = it.publisher.root_metadata
    away = root.rename(root.with_suffix(".away"))
    try:
        found = it.refresh()
    finally:
        away.rename(root)

    assert told(found) == "store-failed"
    assert "1.root.json" in found.failure.hint


def test_clock_of_1970_is_no_trouble(it):
    """The time of the package's build and of the newest signed document counts instead."""
    it.clock = ManualClock(unix_s=10.0)

    found = it.refresh()

    assert found.failure is None
    assert it.has("1.1.0")
