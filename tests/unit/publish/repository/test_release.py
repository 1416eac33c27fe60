import json
import shutil
from datetime import UTC, datetime

import pytest

from edged.bundle.edgeb import pack
from edged.errors import BundleError, DigestMismatchError, UnsafeModelError
from edged.files import hash_file
from edged.publish.keys.directory import Keyring
from edged.publish.repository.blobs import Blob, read_content
from edged.publish.repository.operations import init_repository, publish_bundle
from edged.publish.repository.release import copy_blobs, opened_bundle, peek_manifest
from edged.publish.repository.tree import METADATA_LOCK, WORK_LOCK, Tree
from tests.fakes.models import external_data_model

NOW = datetime.now(UTC)
LOCKS = {METADATA_LOCK, WORK_LOCK}


@pytest.fixture
def keys(tmp_path):
    return Keyring(directory=tmp_path / "keys")


@pytest.fixture
def packed(adder, tmp_path):
    (tmp_path / "stick").mkdir()
    pack(adder, tmp_path / "stick/adder.edgeb")
    return tmp_path / "stick/adder.edgeb"


def blobs_of(repo):
    return {p.name: p.read_bytes() for p in (repo / "blobs").rglob("*") if p.is_file()}


def test_packed_bundle_is_published_as_its_directory_is(tmp_path, keys, adder, packed):
    for name, bundle in (("one", adder), ("two", packed)):
        init_repository(tmp_path / name, keys, now=NOW)
        assert publish_bundle(tmp_path / name, bundle, keys, now=NOW).is_changed

    assert blobs_of(tmp_path / "one") == blobs_of(tmp_path / "two")
    assert not publish_bundle(tmp_path / "one", packed, keys, now=NOW).is_changed
    assert peek_manifest(packed) == peek_manifest(adder)


def test_nothing_of_a_packed_bundle_is_left_beside_anything(tmp_path, keys, packed):
    init_repository(tmp_path / "repo", keys, now=NOW)
    before = sorted(p.name for p in tmp_path.iterdir())
    publish_bundle(tmp_path / "repo", packed, keys, now=NOW)

    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert [p.name for p in packed.parent.iterdir()] == ["adder.edgeb"]


@pytest.mark.parametrize(("where", "error"), [(b"Hello, edge", DigestMismatchError), (b"manifest.json", BundleError)])
def test_damaged_packed_bundle_is_refused_and_leaves_nothing(tmp_path, keys, packed, where, error):
    init_repository(tmp_path / "repo", keys, now=NOW)
    packed.write_bytes(packed.read_bytes().replace(where, where.swapcase()))
    before = sorted(p for p in tmp_path.rglob("*") if p.name not in LOCKS)
    with pytest.raises(error):
        publish_bundle(tmp_path / "repo", packed, keys, now=NOW)

    assert sorted(p for p in tmp_path.rglob("*") if p.name not in LOCKS) == before


def test_what_a_killed_publisher_unpacked_goes_with_the_next(tmp_path, adder):
    left = tmp_path / ".repo.unpacked"
    (left / ".bundle.new").mkdir(parents=True)
    (left / ".bundle.new/model.onnx").write_bytes(b"half")
    with opened_bundle(adder, tmp_path / "repo") as directory:
        assert directory == adder
        assert not left.exists()


def test_large_files_are_reported_while_they_are_copied(tmp_path):
    """Whoever waits for gigabytes sees that it goes on; small files are one line together."""
    source = tmp_path / "bundle"
    source.mkdir()
    for name, size in (("weights.bin", 40_000_000), ("small.bin", 10)):
        with (source / name).open("wb") as file:
            file.truncate(size)
    blobs = [Blob(source=source / n, content=read_content(source / n)) for n in ("weights.bin", "small.bin")]
    lines = []
    copy_blobs(Tree(tmp_path / "repo"), blobs, source, lines.append)

    assert lines == [
        "copy weights.bin: 0 of 40 MB",
        "copy weights.bin: 16 of 40 MB",
        "copy weights.bin: 32 of 40 MB",
        "copy 2 of 2 files (40000010 bytes)",
    ]
    digest = blobs[0].content.digest
    assert hash_file(tmp_path / f"repo/blobs/{digest[:2]}/{digest}") == (digest, 40_000_000)


def test_model_that_devices_would_refuse_is_not_signed(tmp_path, keys, adder):
    """Somebody wrote the manifest by hand: building would have found it."""
    bundle = shutil.copytree(adder, tmp_path / "adder")
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    [model] = manifest["variants"][0]["files"]
    (bundle / model["path"]).write_bytes(external_data_model())
    model["sha256"], model["size"] = hash_file(bundle / model["path"])
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    init_repository(tmp_path / "repo", keys, now=NOW)

    with pytest.raises(UnsafeModelError, match=model["path"]):
        publish_bundle(tmp_path / "repo", bundle, keys, now=NOW)

    assert not keys.has("model-adder")
    assert not blobs_of(tmp_path / "repo")
