"""The conformance command does what the protocol says: the main cases of the public suite, on a repository of edged's own publisher."""

import subprocess
import sys
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata

from edged.publish.repository.roles import Expiry
from tests.conformance.client import main
from tests.fakes.static_host import static_host
from tests.fakes.trust_worlds import DOCUMENT, World, make_repository

TOP = Path(__file__).parents[2]
LASTING = Expiry(**{f"{role}_days": 36_500 for role in ("root", "targets", "stop", "ops", "snapshot", "timestamp")})
"""The command takes the time from the system."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_repository(tmp_path_factory.mktemp("made"), expiry=LASTING)


class Command(World):
    """The command, with directories of its own, on a repository that a test may change."""

    def __init__(self, directory, tree, keys, url):
        super().__init__(directory, tree, keys)
        self.url = url
        self.metadata, self.targets = directory / "metadata", directory / "targets"
        self.metadata.mkdir()
        self.targets.mkdir()
        self.initial = directory / "initial.json"
        self.initial.write_bytes(self.root)

    def arguments(self, command, *more):
        options = ["--metadata-dir", str(self.metadata)]
        if command != "init":
            options += ["--metadata-url", f"{self.url}metadata/"]
        return [*options, *more, command]

    def init(self):
        return main([*self.arguments("init"), str(self.initial)])

    def update(self):
        return main(self.arguments("refresh"))

    def download(self, *names):
        wanted = [argument for name in names for argument in ("--target-name", name)]
        place = ["--target-dir", str(self.targets), "--target-base-url", f"{self.url}targets/"]
        return main(self.arguments("download", *wanted, *place))

    def trusted(self):
        """Return role and version of each metadata file, as the suite looks at them."""
        files = sorted(self.metadata.glob("*.json"))
        return {path.stem: Metadata.from_bytes(path.read_bytes()).signed.version for path in files}

    def downloaded(self):
        return [path.read_bytes() for path in sorted(self.targets.iterdir())]

    def publish(self, data, path=DOCUMENT):
        self.forger.target("ops", path, data)
        self.forger.pin("ops")


@pytest.fixture
def web(tmp_path, made):
    with static_host(tmp_path / "repository") as host:
        yield host


@pytest.fixture
def command(tmp_path, made, web):
    it = Command(tmp_path, *made, f"http://127.0.0.1:{web.port}/")
    assert it.init() == 0
    return it


def test_command_runs_as_a_program(command):
    """As the suite starts it; all other tests call it in this process."""
    program = [sys.executable, "-m", "tests.conformance.client"]

    done = subprocess.run([*program, *command.arguments("refresh")], cwd=TOP, check=False, timeout=60)

    assert done.returncode == 0
    assert command.trusted() == {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}


def test_init_asks_the_host_for_nothing(command, web):
    assert web.requests == []


def test_refresh_asks_for_each_top_level_file_once(command, web):
    assert command.update() == 0
    names = ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
    assert web.paths() == [f"metadata/{name}" for name in names]
    web.requests.clear()

    assert command.update() == 0
    assert web.paths() == ["metadata/2.root.json", "metadata/timestamp.json"]


@pytest.mark.parametrize("damage", [lambda data: data[:-2], lambda data: data.replace(b'"sig":"', b'"sig":"00', 5)])
def test_initial_root_that_is_broken_or_not_signed_fails_before_anything_is_fetched(command, web, damage):
    command.initial.write_bytes(damage(command.root))
    command.init()

    assert command.update() == 1
    assert web.requests == []


@pytest.mark.parametrize(
    ("role", "trusted"),
    [
        ("root", {"root": 1}),
        ("timestamp", {"root": 1}),
        ("snapshot", {"root": 1, "timestamp": 2}),
        ("targets", {"root": 1, "timestamp": 2, "snapshot": 2}),
    ],
)
def test_role_that_is_not_signed_is_refused_and_those_before_it_are_kept(command, role, trusted):
    stranger = [command.forger.own]
    if role == "root":
        command.rotate(signers=stranger)
    elif role == "targets":
        command.forger.sign(role, signers=stranger)
        command.forger.pin(role)
    elif role == "snapshot":
        command.forger.sign(role, signers=stranger)
        command.forger.point()
    else:
        command.forger.sign(role, signers=stranger)

    assert command.update() == 1
    assert command.trusted() == trusted


def test_metadata_is_kept_byte_for_byte(command, web):
    path = command.tree / "metadata/timestamp.json"
    path.write_bytes(path.read_bytes() + b" \n")

    assert command.update() == 0
    assert (command.metadata / "timestamp.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_rollback_of_each_role_is_refused(command, role):
    if role != "timestamp":
        command.forger.pin("targets")
    command.forger.sign("targets")
    command.forger.pin("targets")
    assert command.update() == 0
    before = command.trusted()

    def go_back(signed):
        signed.version = 1

    if role == "timestamp":
        command.forger.sign(role, go_back)
    elif role == "snapshot":
        (command.tree / "metadata/2.snapshot.json").unlink()
        (command.tree / "metadata/3.snapshot.json").unlink()
        command.forger.point()
    else:
        (command.tree / "metadata/2.targets.json").unlink()
        command.forger.pin("targets")

    assert command.update() == 1
    assert {name: before[name] for name in ("snapshot", "targets")}.items() <= command.trusted().items()


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_fast_forward_is_recovered_from_with_a_new_key(command, role):
    command.forger.sign("snapshot", lambda snapshot: setattr(snapshot, "version", 100))
    command.forger.point(lambda timestamp: setattr(timestamp, "version", 100))
    assert command.update() == 0
    (command.tree / "metadata/100.snapshot.json").unlink()
    command.forger.point(lambda timestamp: setattr(timestamp, "version", 2))
    assert command.update() == 1

    command.replace_key(role)
    command.forger.pin()
    command.forger.point(lambda timestamp: setattr(timestamp, "version", 2))

    assert command.update() == 0
    assert (command.trusted()["timestamp"], command.trusted()["snapshot"]) == (2, 2)


def test_several_roots_are_followed_and_the_newest_is_shown(command):
    for _ in range(3):
        command.rotate()

    assert command.update() == 0
    assert command.trusted()["root"] == 4


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_expired_role_is_refused(command, role):
    def expire(signed):
        signed.expires = signed.expires.replace(year=2001)

    command.forger.sign(role, expire)
    if role == "targets":
        command.forger.pin(role)
    elif role == "snapshot":
        command.forger.point()

    assert command.update() == 1
    assert "targets" not in command.trusted()


def test_download_brings_the_target_after_a_refresh_of_its_own(command):
    command.publish(b"content")

    assert command.download(DOCUMENT) == 0
    assert command.downloaded() == [b"content"]
    assert command.trusted()["ops"] == 2


def test_target_that_is_there_already_is_not_fetched_again(command, web):
    command.publish(b"content")
    assert command.download(DOCUMENT) == 0
    web.requests.clear()

    assert command.download(DOCUMENT) == 0
    assert not [path for path in web.paths() if path.startswith("targets/")]


def test_newer_target_replaces_the_older_one_and_an_altered_one_does_not(command):
    command.publish(b"first")
    assert command.download(DOCUMENT) == 0
    command.publish(b"second")
    assert command.download(DOCUMENT) == 0
    assert command.downloaded() == [b"second"]
    command.publish(b"third")
    newest = max((command.tree / "targets/ops").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(b"other")

    assert command.download(DOCUMENT) == 1
    assert command.downloaded() == [b"second"]


def test_download_stops_at_the_first_target_that_fails(command):
    command.publish(b"content")
    command.publish(b"more", "ops/more.json")

    assert command.download(DOCUMENT, "ops/missing.json", "ops/more.json") == 1
    assert command.downloaded() == [b"content"]


def test_repository_of_another_layout_is_a_wrong_call(command):
    command.url = f"{command.url}elsewhere/"
    with pytest.raises(SystemExit) as caught:
        main([*command.arguments("refresh")[:-1], "--target-base-url", "http://127.0.0.1:1/other/", "refresh"])

    assert caught.value.code == 2
