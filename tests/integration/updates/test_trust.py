"""Whom a device believes: roots, expiry, clocks, and metadata on its own disk."""

from datetime import UTC, datetime, timedelta

import pytest

from edged.errors import (
    MetadataExpiredError,
    StoreError,
    TrustError,
)
from edged.publish.repository.roles import Expiry
from tests.fakes.clocks import ManualClock
from tests.fakes.repositories import Publisher
from tests.fakes.updates import device

METADATA = ["timestamp.json", "snapshot.json", "targets.json", "ops.json", "m-demo.json", "root.json"]


def test_expired_metadata_is_named_and_installed_bundles_stay(make_device, publisher):
    publisher.release("1.0.0")
    with make_device() as it:
        it.poll()
    later = ManualClock(unix_s=(datetime.now(UTC) + timedelta(days=3)).timestamp())

    with make_device(clock=later) as it:
        with pytest.raises(MetadataExpiredError) as caught:
            it.poll()
        assert it.installed() == ["demo/1.0.0"]
    assert "resign" in caught.value.hint


def test_clock_of_1970_does_not_stop_updates(make_device, publisher):
    """Such a device only sees nothing expire."""
    publisher.release("1.0.0")

    with make_device(clock=ManualClock(unix_s=10.0)) as it:
        assert it.poll().staged == ("demo 1.0.0",)


def test_repository_of_somebody_else_is_refused(it, publisher, tmp_path, web):
    """Same layout, other keys."""
    stranger = Publisher(tmp_path / "stranger")
    stranger.release("9.9.9")
    web.root = stranger.root

    with pytest.raises(TrustError):
        it.poll()

    assert it.installed() == []


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"signed": {}, "signatures": []}'])
def test_unusable_trusted_root_is_named(make_device, publisher, tmp_path, content):
    publisher.release("1.0.0")
    root = tmp_path / "root.json"
    if content is not None:
        root.write_bytes(content)

    with make_device(root=root) as it, pytest.raises((StoreError, TrustError)) as caught:
        it.poll()

    assert "root" in caught.value.message
    assert "repository.root" in caught.value.hint


def test_device_that_was_given_another_root_follows_it(make_device, publisher, tmp_path, web):
    """The store still holds the other repository's metadata, which then protects nothing."""
    publisher.release("1.0.0")
    with make_device() as it:
        it.poll()
    moved = Publisher(tmp_path / "moved")
    moved.release("2.0.0")
    web.root = moved.root

    with make_device(root=moved.root_metadata) as it:
        assert it.poll().staged == ("demo 2.0.0",)


@pytest.mark.parametrize("damage", ["empty", "garbage", "gone", "directory"])
@pytest.mark.parametrize("name", METADATA)
def test_broken_local_metadata_is_healed(make_device, publisher, name, damage):
    """A power cut can leave any of these files empty; a directory in its place stands for what nobody foresees."""
    publisher.release("1.0.0")
    with make_device() as it:
        it.poll()
        path = it.layout.metadata / name
        path.unlink()
        match damage:
            case "empty":
                path.write_bytes(b"")
            case "garbage":
                path.write_bytes(b'{"signed":')
            case "directory":
                path.mkdir()
    publisher.release("1.1.0")

    with make_device() as it:
        assert it.poll().staged == ("demo 1.1.0",)
        assert (it.layout.metadata / name).stat().st_size > 100


def test_leftovers_of_tuf_are_removed(make_device, publisher):
    publisher.release("1.0.0")
    with make_device() as it:
        it.poll()
        (it.layout.metadata / "tmpab12_xyz").write_bytes(b"half")
    with make_device() as it:
        it.poll()

        assert not [p for p in it.layout.metadata.iterdir() if p.name.startswith("tmp")]


def test_role_that_delegates_further_is_refused(it, publisher):
    """With two parents a role could be checked against the wrong one (python-tuf 5.1)."""
    from tuf.api.metadata import Delegations, Metadata

    publisher.release("1.0.0")
    path = publisher.root / publisher.metadata("m-demo")
    role = Metadata.from_file(str(path))
    role.signed.delegations = Delegations(keys={}, roles={})
    resign(publisher, "m-demo", role, "model-demo")

    (failure,) = it.poll().undone

    assert "delegates further" in failure.error.message


def resign(publisher, name, role, key):
    """Sign a role anew in its place, and snapshot and timestamp with it."""
    from tuf.api.metadata import Metadata

    def write(path, metadata, signer):
        metadata.sign(publisher.keys.signer(signer), append=False)
        metadata.to_file(str(path))
        return path.read_bytes()

    def pin(meta, data):
        from edged.files import hash_bytes

        meta.length, meta.hashes = len(data), {"sha256": hash_bytes(data)}

    root = publisher.root
    data = write(root / publisher.metadata(name), role, key)
    snapshot = Metadata.from_file(str(root / publisher.metadata("snapshot")))
    pin(snapshot.signed.meta[f"{name}.json"], data)
    data = write(root / publisher.metadata("snapshot"), snapshot, "snapshot")
    timestamp = Metadata.from_file(str(root / "metadata/timestamp.json"))
    pin(timestamp.signed.snapshot_meta, data)
    write(root / "metadata/timestamp.json", timestamp, "timestamp")


def test_metadata_expired_long_ago_is_refused_on_first_contact(tmp_path, web, gate):
    old = Publisher(tmp_path / "old", expiry=Expiry(), now=datetime(2020, 1, 1, tzinfo=UTC))
    web.root = old.root

    with device(tmp_path / "store", web, gate, root=old.root_metadata) as it, pytest.raises(MetadataExpiredError):
        it.poll()
