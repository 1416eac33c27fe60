"""What a stick brings, and what a hostile one does not. The refresh runs in the test's own process; edgectl's code opens the files."""

import os
import shutil
import socket

import pytest

from edged.bundle.edgeb import pack
from edged.clock import SystemClock
from edged.config.schema import Config, PathsConfig, RepositoryConfig, UpdateConfig
from edged.store.layout import StoreLayout
from edged.update.protocol.asking import NotOpened, OpenFile
from edged.update.protocol.messages import Task
from edged.update.refresh.finding import find, find_on_stick
from tests.fakes.repositories import Publisher
from tests.fakes.sticks import opened_by, opener_of
from tests.fakes.updates import THREE_CHUNKS, Reports, blob_path


class Device:
    """A device that takes what somebody brings, and what its host has."""

    def __init__(self, store, root, *, url="http://nowhere.test/", gate="/nonexistent"):
        self.layout = StoreLayout(store)
        self.config = Config(
            paths=PathsConfig(store=str(store), gate_socket=str(gate)),
            repository=RepositoryConfig(url=url, root=str(root)),
            update=UpdateConfig(disk_reserve_bytes=0),
        )
        self.reports = Reports()

    def apply(self, directory, *, only=None, opener=None, update=None):
        """Bring a directory in, and return what was found."""
        config = (
            self.config
            if update is None
            else Config(paths=self.config.paths, repository=self.config.repository, update=update)
        )
        task = Task(config=config, checked_unix_s={})
        with opened_by(opener or opener_of(directory, only=only)) as connection:
            # As a process of its own has it: a descriptor that belongs to it.
            own = socket.socket(fileno=os.dup(connection.fileno()))
            return find_on_stick(own, task, SystemClock(), self.reports, on_answer=lambda: None)

    def poll(self):
        """Bring in what the host has, and return what was found."""
        return find(Task(config=self.config, checked_unix_s={}), SystemClock(), self.reports, on_answer=lambda: None)

    def installed(self):
        return sorted(
            f"{path.parent.parent.name} {path.parent.name}" for path in self.layout.bundles.glob("*/*/manifest.json")
        )

    def sources(self):
        return {progress.source for _, progress in self.reports if progress}


@pytest.fixture
def it(tmp_path, publisher, web, gate):
    return Device(tmp_path / "store", publisher.root_metadata, url=web.url, gate=gate.path)


@pytest.fixture
def stick(publisher, tmp_path):
    """The repository, copied as it is now; call it again for a later state."""

    def copy(name="stick"):
        return shutil.copytree(publisher.root, tmp_path / name)

    return copy


def test_whole_repository_is_brought_in_and_nothing_is_asked_of_the_host(it, publisher, web, stick):
    publisher.release("1.0.0", model_bytes=THREE_CHUNKS)

    found = it.apply(stick())

    assert (found.staged, found.failure) == (("demo 1.0.0",), None)
    assert "stick" in it.sources()
    assert web.requests == []


def test_limits_of_the_network_do_not_apply(it, publisher, stick):
    publisher.release("1.0.0", model_bytes=THREE_CHUNKS)

    found = it.apply(
        stick(), update=UpdateConfig(disk_reserve_bytes=0, max_bytes=1, max_bytes_per_day=1, metered="wait")
    )

    assert found.staged == ("demo 1.0.0",)
    assert found.deferred is None


def test_reserve_of_the_disk_is_kept(it, publisher, stick):
    publisher.release("1.0.0")

    found = it.apply(stick(), update=UpdateConfig(disk_reserve_bytes=1 << 60))

    assert found.failure.code == "disk-full"


@pytest.fixture
def packed(publisher, tmp_path, stick):
    """A stick with metadata, targets and packed bundles, one of each release, in place of blobs and index."""
    publisher.release("1.0.0")
    publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    directory = stick("packed")
    for name in ("blobs", "index"):
        shutil.rmtree(directory / name)
    for bundle in (publisher.directory / "bundles").iterdir():
        pack(bundle, directory / f"{bundle.name}.edgeb")
    return directory


@pytest.mark.parametrize("only", [None, "demo-1.1.0.edgeb"])
def test_packed_bundles_beside_their_metadata_are_brought_in(it, packed, only):
    """All of a directory, or the one that is named. Nothing is unpacked but into the store."""
    found = it.apply(packed, only=only)

    assert (found.staged, found.failure) == (("demo 1.1.0",), None)
    assert "packed bundle" in it.sources()


def test_packed_bundle_that_is_not_the_named_one_is_not_used(it, packed):
    found = it.apply(packed, only="demo-1.0.0.edgeb")

    assert found.failure.code == "file-missing"
    assert ".edgeb" in found.failure.hint
    assert it.installed() == []


def test_packed_bundle_that_was_altered_is_refused(it, packed):
    """The metadata beside it is signed; the bundle in it is not what was signed."""
    path = packed / "demo-1.1.0.edgeb"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    assert it.apply(packed).failure is not None
    assert it.installed() == []


def test_stick_that_is_older_than_what_the_device_knows_is_refused(it, publisher, stick):
    publisher.release("1.0.0")
    old = stick()
    publisher.release("1.1.0")
    it.poll()

    found = it.apply(old)

    assert found.failure.code == "metadata-rollback"
    assert "older than what this device has seen" in found.failure.hint
    assert it.poll().failure is None


def test_host_that_is_older_than_a_stick_is_refused(it, publisher, web, stick):
    """What is known protects both ways."""
    publisher.release("1.0.0")
    old = stick("old")
    publisher.release("1.1.0")
    it.apply(stick())
    web.root = old

    assert it.poll().failure.code == "metadata-rollback"
    assert it.installed() == ["demo 1.1.0"]


def test_stick_whose_metadata_has_expired_is_refused(it, publisher, stick):
    publisher.release("1.0.0")

    class Later(SystemClock):
        def unix_s(self):
            return super().unix_s() + 400 * 86_400

    with opened_by(opener_of(stick())) as connection:
        own = socket.socket(fileno=os.dup(connection.fileno()))
        found = find_on_stick(
            own, Task(config=it.config, checked_unix_s={}), Later(), it.reports, on_answer=lambda: None
        )

    assert found.failure.code == "metadata-expired"
    assert "copy it to the stick again" in found.failure.hint


def outside(tmp_path, path):
    """Move a file out of the stick, and leave a link to it."""
    target = tmp_path / "outside"
    path.rename(target)
    path.symlink_to(target)


def fifo(_tmp_path, path):
    path.unlink()
    os.mkfifo(path)


def huge(_tmp_path, path):
    os.truncate(path, 1 << 40)


def garbage(_tmp_path, path):
    path.write_bytes(os.urandom(path.stat().st_size))


def gone(_tmp_path, path):
    path.unlink()


def directory(_tmp_path, path):
    path.unlink()
    path.mkdir()


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    """A repository with one release, the same one later with a second, and that one's manifest."""
    made = Publisher(tmp_path_factory.mktemp("publisher"))
    made.release("1.0.0")
    first = shutil.copytree(made.root, tmp_path_factory.mktemp("states") / "first")
    return first, made.root, made.release("1.1.0", model_bytes=THREE_CHUNKS)


@pytest.mark.parametrize("spoil", [outside, fifo, huge, garbage, gone, directory])
@pytest.mark.parametrize("what", ["timestamp", "snapshot", "role", "rollout", "manifest", "index", "blob"])
def test_spoiled_file_is_refused_and_what_is_there_stays(states, tmp_path, spoil, what):
    """Whichever it is: nothing hangs, follows it, or reads more than it should, and the next stick is taken."""
    first, second, manifest = states
    it = Device(tmp_path / "store", first / "metadata/1.root.json")
    it.apply(first)
    spoiled = shutil.copytree(second, tmp_path / "spoiled")
    path = {
        "timestamp": "metadata/timestamp.json",
        "snapshot": "metadata/*.snapshot.json",
        "role": "metadata/*.m-demo.json",
        "rollout": "targets/ops/*.rollout.json",
        "manifest": "targets/models/demo/1.1.0/*.manifest.json",
        "index": f"index/{manifest.variants[0].files[0].sha256}",
        "blob": blob_path(manifest),
    }[what]
    # The newest of several versions is the one that is asked for.
    spoil(tmp_path, max(spoiled.glob(path), key=lambda found: found.stat().st_mtime_ns))

    found = it.apply(spoiled)

    assert found.failure is not None
    assert found.failure.hint
    assert "host" not in found.failure.hint.lower()
    assert found.staged == ()
    assert it.installed() == ["demo 1.0.0"]
    assert it.apply(second).staged == ("demo 1.1.0",)


def test_directories_that_are_links_are_not_entered(it, publisher, stick):
    publisher.release("1.0.0")
    copy = stick()
    (copy / "metadata").rename(copy / "real")
    (copy / "metadata").symlink_to("real")

    found = it.apply(copy)

    assert "symbolic link" in found.failure.message


def test_repository_of_somebody_else_is_refused(it, publisher, tmp_path):
    publisher.release("1.0.0")
    other = Publisher(tmp_path / "other")
    other.release("9.0.0")

    assert it.apply(other.root).failure.code == "signature-invalid"
    assert it.installed() == []


def test_one_file_that_is_missing_does_not_keep_the_others_away(it, publisher, stick):
    publisher.release("1.0.0", name="other")
    manifest = publisher.release("1.1.0")
    copy = stick()
    (copy / blob_path(manifest)).unlink()

    found = it.apply(copy)

    assert found.staged == ("other 1.0.0",)
    assert found.failure.code == "file-missing"


def test_stick_pulled_in_the_middle_says_so_and_what_was_read_is_kept(it, publisher, stick):
    """As Linux has it: the directory stays open, and everything in it fails with EIO."""
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    publisher.release("1.0.0", name="other")
    copy = stick()
    opened = opener_of(copy)
    asked = []

    def pulled(wanted):
        asked.append(wanted)
        is_there = not isinstance(wanted, OpenFile) or wanted.path != blob_path(manifest)
        if is_there:
            return opened(wanted)
        return NotOpened(path=wanted.path, cause="broken", reason=os.strerror(5)), None

    found = it.apply(copy, opener=pulled)

    assert found.failure.code == "host-unreachable"
    assert "Input/output error" in found.failure.message
    assert "Put it in again" in found.failure.hint
    assert asked[-1] == OpenFile(path=blob_path(manifest))
    assert (it.layout.partial / f"{manifest.variants[0].files[0].sha256}.index").is_file()
    assert it.apply(copy).staged == ("demo 1.0.0", "other 1.0.0")
