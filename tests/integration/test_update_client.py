"""Polls against a real repository on a real web server, through the real gate: what is staged, and the state every trouble leads to."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edged.bundle.manifest import CHUNK_BYTES
from edged.bundle.read import read_bundle, verify_files
from edged.errors import (
    DigestMismatchError,
    DiskFullError,
    FetchError,
    FileMissingError,
    HostUnreachableError,
    IncompatibleError,
    MetadataExpiredError,
    StoreError,
    TrustError,
)
from edged.ids import ModelName, Version
from edged.publish.roles import Expiry
from edged.update.phases import Phase
from tests.fakes.clocks import ManualClock
from tests.fakes.gates import running_gate
from tests.fakes.repositories import Publisher, make_files, make_manifest, some_bytes
from tests.fakes.static_host import Fault, static_host
from tests.fakes.updates import device

THREE_CHUNKS = 2 * CHUNK_BYTES + 1000


@pytest.fixture
def publisher(tmp_path):
    return Publisher(tmp_path / "publisher")


@pytest.fixture
def web(publisher):
    with static_host(publisher.root) as host:
        yield host


@pytest.fixture
def gate(web):
    with running_gate(allow_private=[f"{web.name}:{web.port}"]) as running:
        yield running


@pytest.fixture
def make_device(tmp_path, publisher, web, gate):
    def make(**options):
        return device(tmp_path / "store", web, gate, root=options.pop("root", publisher.root_metadata), **options)

    return make


@pytest.fixture
def it(make_device):
    with make_device() as made:
        yield made


def bundle_of(it, version="1.0.0", name="demo"):
    return read_bundle(it.layout.bundle(ModelName(name), Version.parse(version)))


def blob_path(manifest, number=0) -> str:
    entry = manifest.variants[number].files[0]
    return f"blobs/{entry.sha256[:2]}/{entry.sha256}"


def test_poll_stages_what_the_rollout_names(it, publisher):
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    publisher.release("2.0.0", name="other")

    summary = it.poll()

    assert summary.staged == ("demo 1.0.0", "other 2.0.0")
    assert not summary.failures
    bundle = bundle_of(it)
    assert bundle.manifest == manifest
    verify_files(bundle, manifest.files_for(manifest.variants))
    assert list(it.layout.partial.iterdir()) == []


def test_poll_without_news_fetches_two_small_files(it, publisher, web):
    """The next root, which is not there, and the timestamp; on the connection that is open already."""
    publisher.release("1.0.0")
    it.poll()
    web.requests.clear()

    assert it.poll().staged == ()

    assert web.paths() == ["metadata/2.root.json", "metadata/timestamp.json"]
    assert web.connections == 1


def test_phases_are_reported_in_order_with_all_bytes(it, publisher):
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    it.poll()

    phases = [phase for phase, _ in it.reports]
    assert list(dict.fromkeys(phases)) == [Phase.POLLING, Phase.DOWNLOADING, Phase.STAGING]
    received = [progress.received_bytes for _, progress in it.reports if progress]
    total = sum(entry.size for entry in manifest.files_for(manifest.variants))
    assert received == sorted(received)
    assert received[-1] == total


def test_newer_version_shares_the_blobs_it_has_in_common(it, publisher, web):
    files = make_files(model_bytes=THREE_CHUNKS)
    publisher.publish(make_manifest(files), files)
    it.poll()
    web.requests.clear()
    changed = {**files, "sbom.json": b"changed"}
    publisher.publish(make_manifest(changed, version="1.0.1"), changed)

    assert it.poll().staged == ("demo 1.0.1",)

    assert len([path for path in web.paths() if path.startswith("blobs/")]) == 1


def test_only_files_this_machine_can_use_are_fetched(make_device, publisher, web):
    files = {**make_files(), "small.onnx": some_bytes(500, "small")}
    manifest = make_manifest(files)
    publisher.publish(manifest, files)

    with make_device(usable=lambda m: [v for v in m.variants if v.precision == "int8"]) as it:
        it.poll()
        assert [v.precision for v in bundle_of(it).variants] == ["int8"]
    assert blob_path(manifest) not in web.paths()

    with make_device() as it:
        assert it.poll().staged == ("demo 1.0.0",)
        assert [v.precision for v in bundle_of(it).variants] == ["fp32", "int8"]


def test_rolling_back_needs_no_download(it, publisher, web):
    """The rollout document is kept before anything else is fetched."""
    publisher.release("1.0.0")
    it.poll()
    first = it.layout.rollout.read_bytes()
    publisher.release("1.1.0")
    web.faults[publisher.metadata("m-demo")] = Fault(status=404)

    it.poll()

    assert it.layout.rollout.read_bytes() != first
    assert it.installed() == ["demo/1.0.0"]


# --- downloads ---------------------------------------------------------------------------------------------------


def test_broken_download_goes_on_where_it_stopped(it, publisher, web):
    """The chunks that arrived whole are not fetched again, even by another process after a power cut."""
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    path = blob_path(manifest)
    web.faults[path] = Fault(cut_after=CHUNK_BYTES + 10, times=1)

    assert it.poll().staged == ("demo 1.0.0",)

    assert [span for name, span in web.requests if name == path] == [None, f"bytes={CHUNK_BYTES}-{THREE_CHUNKS - 1}"]


def test_download_is_resumed_by_the_next_process(make_device, publisher, web):
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    path = blob_path(manifest)
    entry = manifest.variants[0].files[0]
    data = (publisher.root / path).read_bytes()
    with make_device() as it:
        (it.layout.partial / entry.sha256).write_bytes(
            data[:CHUNK_BYTES] + bytes(CHUNK_BYTES) + data[2 * CHUNK_BYTES :]
        )
    with make_device() as it:
        assert it.poll().staged == ("demo 1.0.0",)

    assert [span for name, span in web.requests if name == path] == [f"bytes={CHUNK_BYTES}-{2 * CHUNK_BYTES - 1}"]


def test_connection_lost_without_progress_ends_the_poll(it, publisher, web):
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    web.faults[blob_path(manifest)] = Fault(cut_after=10)

    with pytest.raises(HostUnreachableError):
        it.poll()

    web.heal()
    assert it.poll().staged == ("demo 1.0.0",)


def test_one_bad_chunk_costs_one_chunk(it, publisher, web):
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    path = blob_path(manifest)
    data = bytearray((publisher.root / path).read_bytes())
    data[CHUNK_BYTES + 5] ^= 1
    web.faults[path] = Fault(body=bytes(data), times=1)

    assert it.poll().staged == ("demo 1.0.0",)

    assert [span for name, span in web.requests if name == path] == [None, f"bytes={CHUNK_BYTES}-{2 * CHUNK_BYTES - 1}"]


def test_chunk_that_stays_bad_is_refused_and_the_others_are_kept(it, publisher, web):
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    path = blob_path(manifest)
    web.alter(path, CHUNK_BYTES + 5)

    (failure,) = it.poll().failures
    assert isinstance(failure.error, DigestMismatchError)
    assert len([name for name in web.paths() if name == path]) == 3

    web.heal()
    web.requests.clear()
    it.poll()
    assert [span for name, span in web.requests if name == path] == [f"bytes={CHUNK_BYTES}-{2 * CHUNK_BYTES - 1}"]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_host_without_ranges_is_good_enough(it, publisher, web, is_chunked):
    web.ignores_range = True
    web.is_chunked = is_chunked
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    data = (publisher.root / blob_path(manifest)).read_bytes()
    entry = manifest.variants[0].files[0]
    (it.layout.partial / entry.sha256).write_bytes(bytes(CHUNK_BYTES) + data[CHUNK_BYTES : 2 * CHUNK_BYTES])

    assert it.poll().staged == ("demo 1.0.0",)

    assert web.paths().count(blob_path(manifest)) == 1


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("extra", [b"x", b"x" * CHUNK_BYTES])
def test_blob_with_bytes_behind_its_end_does_no_harm(it, publisher, web, is_chunked, extra):
    """With a length it is refused at once; without one, what follows the file is not looked at."""
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    web.is_chunked = is_chunked
    web.faults[blob_path(manifest)] = Fault(body=(publisher.root / blob_path(manifest)).read_bytes() + extra)

    summary = it.poll()

    assert bool(summary.failures) is not is_chunked
    if is_chunked:
        verify_files(bundle_of(it), manifest.files_for(manifest.variants))


def test_partials_of_bundles_nobody_wants_are_dropped(it, publisher):
    publisher.release("1.0.0")
    (it.layout.partial / ("a" * 64)).write_bytes(b"old")

    it.poll()

    assert list(it.layout.partial.iterdir()) == []


def test_download_that_would_use_up_the_reserve_is_not_begun(make_device, publisher, web):
    manifest = publisher.release("1.0.0")

    with make_device(disk_reserve_bytes=1 << 60) as it:
        (failure,) = it.poll().failures

    assert isinstance(failure.error, DiskFullError)
    assert blob_path(manifest) not in web.paths()


def test_disk_that_fills_up_is_named(it, publisher, monkeypatch):
    publisher.release("1.0.0")
    real = os.fsync

    def full(descriptor):
        if "/partial/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(28, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        (failure,) = it.poll().failures
    assert isinstance(failure.error, DiskFullError)

    assert it.poll().staged == ("demo 1.0.0",)


# --- bundles that cannot be used ---------------------------------------------------------------------------------


def test_bundle_for_a_newer_edged_does_not_stop_the_others(it, publisher):
    files = make_files()
    publisher.publish(make_manifest(files, min_edged="99.0.0"), files)
    publisher.release("1.0.0", name="other")

    summary = it.poll()

    assert summary.staged == ("other 1.0.0",)
    (failure,) = summary.failures
    assert isinstance(failure.error, IncompatibleError)
    assert "needs edged 99.0.0" in failure.error.message


def test_bundle_without_a_usable_variant_does_not_stop_the_others(make_device, publisher):
    publisher.release("1.0.0")
    publisher.release("1.0.0", name="other")

    with make_device(usable=lambda m: m.variants if m.name == "other" else []) as it:
        summary = it.poll()

    assert summary.staged == ("other 1.0.0",)
    assert isinstance(summary.failures[0].error, IncompatibleError)


def test_missing_blob_does_not_stop_the_others(it, publisher, web):
    manifest = publisher.release("1.0.0")
    publisher.release("1.0.0", name="other")
    web.faults[blob_path(manifest)] = Fault(status=404)

    summary = it.poll()

    assert summary.staged == ("other 1.0.0",)
    assert isinstance(summary.failures[0].error, FileMissingError)


# --- the repository as a whole -----------------------------------------------------------------------------------


def test_captive_portal_is_named(it, publisher, web):
    publisher.release("1.0.0")
    portal = Fault(body=b"<html>Welcome to our network</html>", content_type="text/html")
    web.faults["metadata/2.root.json"] = web.faults["metadata/timestamp.json"] = portal

    with pytest.raises(FetchError, match="text/html") as caught:
        it.poll()

    assert "captive portal" in caught.value.hint


def test_portal_that_hides_its_kind_is_not_believed(it, publisher, web):
    publisher.release("1.0.0")
    web.faults["metadata/2.root.json"] = Fault(body=b"<html>Welcome</html>")

    with pytest.raises(TrustError, match="cannot be read"):
        it.poll()


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


def test_repository_that_is_not_there_is_named(it, publisher, web):
    publisher.release("1.0.0")
    web.faults["metadata/timestamp.json"] = Fault(status=404)

    with pytest.raises(FileMissingError) as caught:
        it.poll()

    assert "repository.url" in caught.value.hint


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


METADATA = ["timestamp.json", "snapshot.json", "targets.json", "ops.json", "m-demo.json", "root.json"]


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


def test_metadata_is_made_durable(it, publisher, monkeypatch):
    """A timestamp that a power cut takes away would let an older one in."""
    publisher.release("1.0.0")
    synced: set[str] = set()
    real = os.fsync

    def note(descriptor):
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    it.poll()

    assert {"timestamp.json", "snapshot.json", "targets.json", "ops.json", "m-demo.json", "tuf"} <= synced


# --- delegations -------------------------------------------------------------------------------------------------


def test_role_that_delegates_further_is_refused(it, publisher):
    """With two parents a role could be checked against the wrong one (python-tuf 5.1)."""
    from tuf.api.metadata import Delegations, Metadata

    publisher.release("1.0.0")
    path = publisher.root / publisher.metadata("m-demo")
    role = Metadata.from_file(str(path))
    role.signed.delegations = Delegations(keys={}, roles={})
    resign(publisher, "m-demo", role, "model-demo")

    (failure,) = it.poll().failures

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
