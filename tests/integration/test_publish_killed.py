"""A publisher killed at any write: devices see the old state or the new one, and running it again finishes the work."""

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from edged.publish.keys import Keyring
from edged.publish.repository import init_repository, publish_bundle
from edged.publish.state import is_repository, read_state
from edged.publish.tree import Tree
from tests.fakes.bundles import make_bundle
from tests.fakes.tuf_clients import make_updater

NOW = datetime.now(UTC)


class Killed(BaseException):
    """Not an Exception, so that nothing on the way takes it for an error it can handle."""


@dataclass(frozen=True, slots=True)
class KilledTree(Tree):
    """Dies at one of its writes, counted from 0: before it, half way into it, or right after it."""

    at: int = -1
    when: str = "before"
    writes: list[str] = field(default_factory=list)

    def add(self, path, data):
        return self._write(path, data, lambda: Tree.add(self, path, data))

    def add_copy(self, path, source, digest):
        return self._write(path, source.read_bytes(), lambda: Tree.add_copy(self, path, source, digest))

    def replace(self, path, data):
        return self._write(path, data, lambda: Tree.replace(self, path, data))

    def _write(self, path, data, write):
        is_last = len(self.writes) == self.at
        self.writes.append(path)
        if is_last and self.when == "before":
            raise Killed
        if is_last and self.when == "within":
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.with_name(f".{target.name}.new").write_bytes(data[: len(data) // 2])
            raise Killed
        result = write()
        if is_last and self.when == "after":
            raise Killed
        return result


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bundles")
    return {
        "1.0.0": make_bundle(directory, version="1.0.0", padding_bytes=1_200_000),
        "1.0.1": make_bundle(directory, version="1.0.1", padding_bytes=1_300_000),
    }


def versions_seen(repo, directory):
    """What a device without memory finds: the versions of the model it would trust."""
    root = (repo / "metadata/1.root.json").read_bytes()
    updater = make_updater(f"{repo.as_uri()}/", directory, root)
    updater.refresh()
    wanted = ("1.0.0", "1.0.1")
    return [v for v in wanted if updater.get_targetinfo(f"models/adder/{v}/manifest.json") is not None]


@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_init_killed_anywhere_is_finished_by_the_next(tmp_path, when):
    at = 0
    while True:
        repo, keys = tmp_path / f"repo-{at}", Keyring(directory=tmp_path / f"keys-{at}")
        tree = KilledTree(repo, at, when)
        try:
            init_repository(repo, keys, now=NOW, tree=tree)
        except Killed:
            pass
        else:
            break
        assert is_repository(Tree(repo)) == (when == "after" and tree.writes[-1] == "metadata/timestamp.json")
        init_repository(repo, keys, now=NOW + timedelta(seconds=5))
        assert set(read_state(Tree(repo)).targets) == {"targets", "ops", "stop"}
        assert versions_seen(repo, tmp_path / f"client-{at}") == []
        at += 1

    assert at == len(tree.writes) == 6


@pytest.mark.parametrize("when", ["before", "within", "after"])
@pytest.mark.parametrize(("before", "version"), [([], "1.0.0"), (["1.0.0"], "1.0.1")])
def test_publish_killed_anywhere_shows_all_or_nothing_and_is_finished_by_the_next(
    tmp_path, bundles, when, before, version
):
    """The order of the contract (blobs, index, targets, metadata, timestamp) is what makes this true."""
    start = tmp_path / "start"
    init_repository(start, Keyring(directory=tmp_path / "start-keys"), now=NOW)
    for old in before:
        publish_bundle(start, bundles[old], Keyring(directory=tmp_path / "start-keys"), now=NOW)
    at = 0
    while True:
        repo, keys = tmp_path / f"repo-{at}", Keyring(directory=tmp_path / f"keys-{at}")
        shutil.copytree(start, repo)
        shutil.copytree(tmp_path / "start-keys", keys.directory)
        tree = KilledTree(repo, at, when)
        try:
            publish_bundle(repo, bundles[version], keys, now=NOW, tree=tree)
        except Killed:
            pass
        else:
            break
        is_out = when == "after" and tree.writes[-1] == "metadata/timestamp.json"
        assert versions_seen(repo, tmp_path / f"client-{at}") == [*before, *([version] if is_out else [])]

        kept = {
            p: p.read_bytes()
            for p in repo.rglob("*")
            if p.is_file() and p.name[0] != "." and p.name != "timestamp.json"
        }
        publish_bundle(repo, bundles[version], keys, now=NOW + timedelta(seconds=5))

        # The same device, which has seen the old state, gets the new one.
        assert versions_seen(repo, tmp_path / f"client-{at}") == [*before, version]
        assert {path: path.read_bytes() for path in kept} == kept
        assert list(repo.rglob(".*.new")) == []
        at += 1

    kinds = [path.split("/")[0] for path in tree.writes]
    assert [k for i, k in enumerate(kinds) if i == 0 or kinds[i - 1] != k] == ["blobs", "index", "targets", "metadata"]
    assert tree.writes[-1] == "metadata/timestamp.json"
    assert at == len(tree.writes) > 12
