"""A repository made by edge-publish, read by python-tuf's own client."""

import json
import shutil
import threading
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.exceptions import ExpiredMetadataError, RepositoryError

from edged.bundle.manifest import ChunkIndex
from edged.bundle.parse import parse_manifest
from edged.codec import decode_json
from edged.files import hash_bytes
from edged.publish.keys.directory import Keyring
from edged.publish.main import main
from edged.publish.repository.operations import init_repository, publish_bundle
from edged.publish.repository.roles import Expiry
from edged.publish.repository.server import StaticServer
from edged.publish.repository.state import read_state
from edged.publish.repository.transaction import Transaction
from edged.publish.repository.tree import Tree
from tests.fakes.bundles import make_bundle
from tests.fakes.tuf_clients import make_updater

MANIFEST = "models/adder/1.0.0/manifest.json"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle"), padding_bytes=2_500_000)


@pytest.fixture
def keys(tmp_path):
    return Keyring(directory=tmp_path / "keys")


@pytest.fixture
def repo(tmp_path, keys, bundle):
    init_repository(tmp_path / "repo", keys, now=datetime.now(UTC))
    publish_bundle(tmp_path / "repo", bundle, keys, now=datetime.now(UTC))
    return tmp_path / "repo"


@pytest.fixture
def url(repo):
    with StaticServer(repo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def root(repo):
    return (repo / "metadata/1.root.json").read_bytes()


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def test_client_reads_the_manifest_over_http(url, root, bundle, tmp_path):
    updater = make_updater(url, tmp_path / "client", root)
    updater.refresh()
    info = updater.get_targetinfo(MANIFEST)

    assert (bundle / "manifest.json").read_bytes() == Path(updater.download_target(info)).read_bytes()


def test_client_reads_the_manifest_from_a_stick(repo, root, tmp_path):
    """A directory with the same tree is the same repository."""
    updater = make_updater(f"{repo.as_uri()}/", tmp_path / "client", root)

    assert updater.get_targetinfo(MANIFEST).length


def test_blobs_and_their_indexes_are_where_the_manifest_pins_them(url, root, bundle):
    manifest = parse_manifest((bundle / "manifest.json").read_bytes(), source="manifest")
    model = manifest.variants[0].model_file
    index_data = get(f"{url}index/{model.sha256}")
    blob = get(f"{url}blobs/{model.sha256[:2]}/{model.sha256}")
    index = decode_json(ChunkIndex, index_data, source="index")

    assert hash_bytes(index_data) == model.index
    assert hash_bytes(blob) == model.sha256
    assert index.size == len(blob) == model.size
    chunks = [blob[i : i + index.chunk_bytes] for i in range(0, len(blob), index.chunk_bytes)]
    assert [hash_bytes(chunk) for chunk in chunks] == list(index.sha256)


def test_rollout_names_the_version(url, root, tmp_path):
    updater = make_updater(url, tmp_path / "client", root)
    updater.refresh()
    path = updater.download_target(updater.get_targetinfo("ops/rollout.json"))

    assert json.loads(Path(path).read_bytes())["models"] == {"adder": {"version": "1.0.0"}}


def test_client_follows_to_the_next_version(url, root, repo, keys, tmp_path):
    make_updater(url, tmp_path / "client", root).refresh()
    publish_bundle(repo, make_bundle(tmp_path / "next", version="1.0.1"), keys, now=datetime.now(UTC))
    updater = make_updater(url, tmp_path / "client", root)
    updater.refresh()

    assert updater.get_targetinfo("models/adder/1.0.1/manifest.json") is not None
    assert updater.get_targetinfo(MANIFEST) is not None


@pytest.mark.parametrize(
    "path", ["models/other/1.0.0/manifest.json", "models/adder/9.0.0/manifest.json", "stop/stop.json"]
)
def test_client_finds_nothing_that_was_not_signed(url, root, tmp_path, path):
    updater = make_updater(url, tmp_path / "client", root)
    updater.refresh()

    assert updater.get_targetinfo(path) is None


def test_models_key_signs_for_its_own_model_only(url, root, repo, keys, tmp_path):
    """With a stolen key of one model, nobody can make devices take a manifest of another."""
    tree = Tree(repo)
    data = b"a manifest of another model"
    with tree.locked():
        theft = Transaction(
            tree=tree,
            state=read_state(tree),
            keys=keys,
            expiry=Expiry(),
            now=datetime.now(UTC),
            report=lambda _line: None,
        )
        theft.set_target("m-adder", "models/other/1.0.0/manifest.json", data)
        theft.commit()
    updater = make_updater(url, tmp_path / "client", root)
    updater.refresh()

    assert updater.get_targetinfo("models/other/1.0.0/manifest.json") is None


@pytest.mark.parametrize("role", ["timestamp", "2.snapshot", "2.targets", "1.m-adder"])
def test_client_refuses_altered_metadata(url, root, repo, tmp_path, role):
    path = repo / f"metadata/{role}.json"
    path.write_bytes(path.read_bytes().replace(b'"expires":"2', b'"expires":"3'))
    updater = make_updater(url, tmp_path / "client", root)

    with pytest.raises(RepositoryError):
        updater.get_targetinfo(MANIFEST)  # refreshes first


def test_client_notices_a_mirror_that_no_longer_follows(tmp_path, root_of_the_past):
    """The timestamp holds one day, so that a frozen mirror cannot keep devices on old versions unnoticed."""
    updater = make_updater(f"{(tmp_path / 'old').as_uri()}/", tmp_path / "client", root_of_the_past)

    with pytest.raises(ExpiredMetadataError):
        updater.refresh()


def test_what_is_served_is_verified_and_compared_with_what_is_here(url, repo, keys, root, tmp_path, capsys):
    """The host is asked as a device asks it, and is found to be behind when it is a copy of yesterday's."""
    (tmp_path / "root.json").write_bytes(root)
    shutil.copytree(repo, tmp_path / "newer")
    assert main(["verify", url, str(repo), "--root", str(tmp_path / "root.json"), "--deep"]) == 0

    publish_bundle(tmp_path / "newer", make_bundle(tmp_path / "next", version="1.0.1"), keys, now=datetime.now(UTC))
    capsys.readouterr()
    assert main(["verify", url, str(tmp_path / "newer"), "--root", str(tmp_path / "root.json")]) == 10
    out = capsys.readouterr().out

    assert out.startswith(f"{url}: timestamp 2, ")
    assert f"it is behind: its timestamp is version 2, {tmp_path / 'newer'} has 3" in out


def test_what_the_host_lost_is_found_from_outside(url, repo, root, bundle, tmp_path, capsys):
    (tmp_path / "root.json").write_bytes(root)
    model = parse_manifest((bundle / "manifest.json").read_bytes(), source="manifest").variants[0].model_file
    (repo / "blobs" / model.sha256[:2] / model.sha256).unlink()
    (repo / "index" / model.sha256).write_bytes(b"{}")

    assert main(["verify", url, "--root", str(tmp_path / "root.json")]) == 10
    out = capsys.readouterr().out
    assert f"error: blobs/{model.sha256[:2]}/{model.sha256}: it is not there (status 404)" in out
    assert f"error: index/{model.sha256}: " in out


@pytest.fixture
def root_of_the_past(tmp_path):
    keys = Keyring(directory=tmp_path / "old-keys")
    init_repository(tmp_path / "old", keys, now=datetime.now(UTC) - timedelta(days=2))
    return (tmp_path / "old/metadata/1.root.json").read_bytes()
