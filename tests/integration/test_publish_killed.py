"""``edge-publish`` killed at any system call: devices see the old state or the new one, and running it again finishes the work."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tuf.api.exceptions import UnsignedMetadataError

from edged.bundle.edgeb import pack
from edged.bundle.parse import parse_manifest
from edged.files import hash_file
from edged.publish.keys.directory import Keyring
from edged.publish.repository.operations import init_repository, publish_bundle
from edged.publish.repository.state import is_repository, read_state
from edged.publish.repository.tree import METADATA_LOCK, WORK_LOCK, Tree
from tests.fakes.bundles import make_bundle
from tests.fakes.publishers import publisher
from tests.fakes.syscalls import why_not
from tests.fakes.tuf_clients import make_updater

NOW = datetime.now(UTC)
VERSIONS = ("1.0.0", "1.0.1")
LOCKS = {METADATA_LOCK, WORK_LOCK}


@pytest.fixture(scope="module")
def publish():
    if reason := why_not():
        pytest.skip(reason)
    with publisher() as server:
        yield server


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Two versions, each with a model of more than one chunk, which takes several writes and has an index."""
    directory = tmp_path_factory.mktemp("bundles")
    sizes = dict(zip(VERSIONS, (1_100_000, 1_200_000), strict=True))
    return {v: make_bundle(directory, version=v, padding_bytes=size) for v, size in sizes.items()}


@pytest.fixture(scope="module")
def started(tmp_path_factory, bundles):
    """Directories with ``repo`` and ``keys``: a new repository, and one in which the first version is published."""
    places = {}
    for name in ("new", "published"):
        places[name] = place = tmp_path_factory.mktemp(name)
        keys = Keyring(directory=place / "keys")
        init_repository(place / "repo", keys, now=NOW)
        if name == "published":
            publish_bundle(place / "repo", bundles["1.0.0"], keys, now=NOW)
        age(place / "repo")
    return places


def age(repo):
    """Have been published a while ago: within one second, what is published next takes a call more."""
    timestamp = repo / "metadata/timestamp.json"
    then_s = timestamp.stat().st_mtime - 10.0
    os.utime(timestamp, (then_s, then_s))


def versions_seen(repo, device):
    """What a device finds, with everything behind it checked: manifests and rollout by TUF, blobs and indexes by their digests."""
    updater = make_updater(f"{repo.as_uri()}/", device, (repo / "metadata/1.root.json").read_bytes())
    updater.refresh()
    found = []
    for version in VERSIONS:
        if info := updater.get_targetinfo(f"models/adder/{version}/manifest.json"):
            manifest = parse_manifest(Path(updater.download_target(info)).read_bytes(), source=version)
            for entry in manifest.files_for(manifest.variants):
                assert hash_file(repo / "blobs" / entry.sha256[:2] / entry.sha256) == (entry.sha256, entry.size)
                assert entry.index is None or hash_file(repo / "index" / entry.sha256)[0] == entry.index
            found.append(version)
    rollout = updater.get_targetinfo("ops/rollout.json")
    active = json.loads(Path(updater.download_target(rollout)).read_bytes())["models"] if rollout else {}
    assert {name: entry["version"] for name, entry in active.items()} == ({"adder": found[-1]} if found else {})
    return found


def immutable(repo):
    files = (p for p in repo.rglob("*") if p.is_file() and p.name not in {"timestamp.json", *LOCKS})
    return {str(p.relative_to(repo)): p.read_bytes() for p in files}


def content(repo):
    """What must not depend on when a publisher ran or died: everything that the bundles alone decide."""
    return {
        path: data for path, data in immutable(repo).items() if path.startswith(("blobs", "index", "targets/models"))
    }


def listed(repo):
    """What the metadata says, without versions and dates."""
    state = read_state(Tree(repo))
    return {
        role: sorted(path for path in targets.targets if path != "ops/rollout.json")
        for role, targets in state.targets.items()
    }


def instants(calls, step):
    """Numbers of the calls to be killed at: of those that differ in a digest alone, the first two and the last."""
    kinds = {}
    for number, call in enumerate(calls):
        kinds.setdefault(re.sub(r"\b[0-9a-f]{2}/|[0-9a-f]{64}", "*", call), []).append(number)
    return sorted({n for numbers in kinds.values() for n in (*numbers[:2], numbers[-1])})[::step]


@pytest.mark.parametrize(
    ("start", "version", "form", "step"),
    [
        # A first version, with its directories and its key, is tried at every instant; the others add little to it.
        ("new", "1.0.0", "directory", 1),
        ("new", "1.0.0", "file", 9),
        ("published", "1.0.1", "directory", 7),
    ],
)
def test_publish_killed_at_any_call_shows_all_or_nothing_and_is_finished_by_the_next(
    tmp_path, publish, bundles, started, start, version, form, step
):
    """The order of the contract (blobs, index, targets, metadata, timestamp) is what makes this true."""
    bundle = bundles[version]
    if form == "file":
        bundle = tmp_path / "adder.edgeb"
        pack(bundles[version], bundle)
    before = list(VERSIONS[: VERSIONS.index(version)])
    place, whole = tmp_path / "place", tmp_path / "whole"
    repo = place / "repo"
    shutil.copytree(started[start], whole)
    run = publish.run("publish", bundle, "--repo", whole / "repo", "--keys", whole / "keys", watched=whole)
    assert run.code == 0, run.err
    assert versions_seen(started[start] / "repo", tmp_path / "device") == before

    for at in instants(run.calls, step):
        shutil.copytree(started[start], place)
        # The device knows the old state: it would notice if anything went back.
        shutil.copytree(tmp_path / "device", place / "device")
        arguments = ("publish", bundle, "--repo", repo, "--keys", place / "keys")
        killed = publish.run(*arguments, watched=place, kill_at=at)
        assert killed.code == -9
        is_out = (repo / "metadata/timestamp.json").read_bytes() != (
            started[start] / "repo/metadata/timestamp.json"
        ).read_bytes()
        assert versions_seen(repo, place / "device") == [*before, *([version] if is_out else [])], killed.calls[-1]

        kept = {path: data for path, data in immutable(repo).items() if not Path(path).name.startswith(".")}
        again = publish.run(*arguments)
        assert again.code == 0, again.err
        assert versions_seen(repo, place / "device") == [*before, version], killed.calls[-1]
        assert immutable(repo).items() >= kept.items()
        assert content(repo) == content(whole / "repo"), killed.calls[-1]
        assert listed(repo) == listed(whole / "repo")
        assert [p for p in place.rglob(".*") if p.name not in LOCKS] == [], killed.calls[-1]
        assert {p.stat().st_mode & 0o777 for p in repo.rglob("*") if p.is_dir()} == {0o755}
        shutil.rmtree(place)

    renamed = [call.split("/repo/")[1] for call in run.calls if call.startswith("rename") and "/repo/" in call]
    kinds = [path.split("/")[0] for path in renamed]
    assert [k for i, k in enumerate(kinds) if i == 0 or kinds[i - 1] != k] == ["blobs", "index", "targets", "metadata"]
    assert renamed[-1] == "metadata/.timestamp.json.new"


def test_init_killed_at_any_call_is_finished_by_the_next(tmp_path, publish):
    whole = tmp_path / "whole"
    run = publish.run("init", whole / "repo", "--keys", whole / "keys", watched=whole)
    assert run.code == 0, run.err
    for at in instants(run.calls, 5):
        place = tmp_path / str(at)
        repo = place / "repo"
        arguments = ("init", repo, "--keys", place / "keys")
        killed = publish.run(*arguments, watched=place, kill_at=at)
        assert killed.code == -9
        is_out = is_repository(Tree(repo))
        assert not is_out or versions_seen(repo, place / "device") == []

        keys = {path.name: path.read_bytes() for path in place.glob("keys/root-*.pem")}
        again = publish.run(*arguments)
        assert again.code == 0, again.err
        assert versions_seen(repo, place / "device") == []
        assert listed(repo) == listed(whole / "repo")
        assert {name: (place / "keys" / name).read_bytes() for name in keys} == keys
        assert sorted(p.name for p in place.rglob("*.pem")) == sorted(p.name for p in whole.rglob("*.pem"))
        assert [p for p in place.rglob(".*") if p.name not in LOCKS] == [], killed.calls[-1]


def test_keys_replace_killed_at_any_call_is_finished_by_the_next(tmp_path, publish, started):
    """A device finds the old state, or the new one, or nothing that is signed right until the next run; never anything else."""
    whole = tmp_path / "whole"
    shutil.copytree(started["published"], whole)
    names = ("timestamp", "ops")
    run = publish.run("keys", "replace", whole / "repo", *names, "--keys", whole / "keys", watched=whole)
    assert run.code == 0, run.err
    assert versions_seen(started["published"] / "repo", tmp_path / "device") == ["1.0.0"]

    for at in instants(run.calls, 6):
        place = tmp_path / str(at)
        shutil.copytree(started["published"], place)
        shutil.copytree(tmp_path / "device", place / "device")
        arguments = ("keys", "replace", place / "repo", *names, "--keys", place / "keys")
        killed = publish.run(*arguments, watched=place, kill_at=at)
        assert killed.code == -9
        with suppress(UnsignedMetadataError):
            assert versions_seen(place / "repo", place / "device") == ["1.0.0"]

        again = publish.run(*arguments)
        assert again.code == 0, (killed.calls[-1], again.err)
        assert versions_seen(place / "repo", place / "device") == ["1.0.0"]
        keys, state = Keyring(directory=place / "keys"), read_state(Tree(place / "repo"))
        assert state.root.roles["timestamp"].keyids == [keys.signer("timestamp").public_key.keyid]
        assert state.targets["targets"].delegations.roles["ops"].keyids == [keys.signer("ops").public_key.keyid]
        old = Keyring(directory=started["published"] / "keys")
        assert not {old.public(name).keyid for name in names} & {keys.public(name).keyid for name in names}
        assert not (place / "keys/next").exists()
        assert [p for p in place.rglob(".*") if p.name not in LOCKS] == [], killed.calls[-1]


@pytest.fixture(scope="module")
def rolling(tmp_path_factory, publish, started, bundles):
    """A repository in which a second version goes to the first devices."""
    place = tmp_path_factory.mktemp("rolling")
    shutil.copytree(started["published"], place, dirs_exist_ok=True)
    place_of = ("--repo", place / "repo", "--keys", place / "keys")
    run = publish.run("publish", bundles["1.0.1"], "--percent", "1", *place_of)
    assert run.code == 0, run.err
    age(place / "repo")
    return place


def said(repo, device):
    """What a device is told of the model: the percentage of what is rolled out, and why it is stopped."""
    updater = make_updater(f"{repo.as_uri()}/", device, (repo / "metadata/1.root.json").read_bytes())
    updater.refresh()
    rollout = json.loads(Path(updater.download_target(updater.get_targetinfo("ops/rollout.json"))).read_bytes())
    stop = updater.get_targetinfo("stop/stop.json")
    stopped = json.loads(Path(updater.download_target(stop)).read_bytes())["models"] if stop else {}
    return rollout["models"]["adder"]["next"]["percent"], stopped.get("adder", {}).get("reason")


@pytest.mark.parametrize(
    ("verb", "after"),
    [
        (("stop", "adder", "--reason", "wrong sums"), (1.0, "wrong sums")),
        (("rollout", "advance", "adder", "--percent", "10", "--now"), (10.0, None)),
    ],
)
def test_a_word_to_the_fleet_killed_at_any_call_is_said_or_not_and_may_be_said_again(
    tmp_path, publish, rolling, verb, after
):
    whole = tmp_path / "whole"
    shutil.copytree(rolling, whole)
    run = publish.run(*verb, "--repo", whole / "repo", "--keys", whole / "keys", watched=whole)
    assert run.code == 0, run.err
    outcomes = set()
    for at in instants(run.calls, 6):
        place = tmp_path / str(at)
        repo = place / "repo"
        shutil.copytree(rolling, place)
        arguments = (*verb, "--repo", repo, "--keys", place / "keys")
        killed = publish.run(*arguments, watched=place, kill_at=at)
        assert killed.code == -9
        outcomes.add(said(repo, place / "device"))

        kept = {path: data for path, data in immutable(repo).items() if not Path(path).name.startswith(".")}
        again = publish.run(*arguments)
        assert again.code == 0, again.err
        assert said(repo, place / "device") == after, killed.calls[-1]
        assert immutable(repo).items() >= kept.items()
        assert [p for p in place.rglob(".*") if p.name not in LOCKS] == [], killed.calls[-1]
        shutil.rmtree(place)

    assert outcomes <= {(1.0, None), after}


def test_reader_never_meets_an_error_while_ten_versions_are_published(tmp_path, started, publish):
    """Each refresh sees one state, whole, and the versions only go up."""
    repo, keys = tmp_path / "repo", tmp_path / "keys"
    shutil.copytree(started["new"], tmp_path, dirs_exist_ok=True)
    versions = [f"1.0.{n}" for n in range(10)]
    bundles = [make_bundle(tmp_path / "bundles", version=v, more=float(n)) for n, v in enumerate(versions)]
    root = (repo / "metadata/1.root.json").read_bytes()
    seen = []

    refreshed = threading.Event()

    def publish_all():
        for bundle in bundles:
            refreshed.clear()
            assert publish.run("publish", bundle, "--repo", repo, "--keys", keys).code == 0
            # However slow the reader is, it comes by once for each version.
            assert refreshed.wait(60)

    def refresh():
        updater = make_updater(f"{repo.as_uri()}/", tmp_path / "device", root)
        updater.refresh()
        rollout = updater.get_targetinfo("ops/rollout.json")
        active = json.loads(Path(updater.download_target(rollout)).read_bytes())["models"] if rollout else {}
        seen.append(active["adder"]["version"] if active else "")
        assert not active or updater.get_targetinfo(f"models/adder/{seen[-1]}/manifest.json") is not None
        refreshed.set()

    with ThreadPoolExecutor(max_workers=1) as pool:
        publishing = pool.submit(publish_all)
        while not publishing.done() and len(seen) < 10_000:
            refresh()
        publishing.result()
    refresh()

    assert seen == sorted(seen)
    assert seen[-1] == versions[-1]
    assert len(set(seen)) > 2


def test_second_publisher_is_told_that_the_repository_is_busy(tmp_path, started, bundles, publish):
    shutil.copytree(started["new"], tmp_path, dirs_exist_ok=True)
    before = immutable(tmp_path / "repo")
    arguments = ("publish", bundles["1.0.0"], "--repo", tmp_path / "repo", "--keys", tmp_path / "keys")
    with Tree(tmp_path / "repo").working():
        second = publish.run(*arguments)

    assert second.code == 8
    assert "another edge-publish is writing to" in second.err
    assert immutable(tmp_path / "repo") == before
    assert publish.run(*arguments).code == 0


def test_publish_without_room_says_so_and_goes_on_when_there_is_some(tmp_path, started, bundles):
    """The kernel refuses to let a file grow past a limit, as a full disk would; the small files before it are written."""
    shutil.copytree(started["new"], tmp_path, dirs_exist_ok=True)
    command = [sys.executable, "-m", "edged.publish.main", "publish", bundles["1.0.0"]]
    command += ["--repo", tmp_path / "repo", "--keys", tmp_path / "keys"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}

    def publish(blocks):
        limited = ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", *command]
        return subprocess.run(limited, env=environment, capture_output=True, text=True, check=False, timeout=60)

    full = publish(1000)
    assert (full.returncode, full.stdout) == (1, "")
    message, hint = full.stderr.splitlines()[-2:]
    assert message.startswith("there is no room for ")
    assert message.endswith("File too large [disk-full]")
    assert hint == "hint: Make room and run the command again; it goes on where this one stopped."
    assert versions_seen(tmp_path / "repo", tmp_path / "device") == []
    assert list(tmp_path.rglob(".*.new")) == []

    assert publish("unlimited").returncode == 0
    assert versions_seen(tmp_path / "repo", tmp_path / "device") == ["1.0.0"]
