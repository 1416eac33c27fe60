"""Downloads that break, resume, arrive altered or do not fit."""

import os
from pathlib import Path

import pytest

from edged.bundle.manifest import CHUNK_BYTES
from edged.bundle.read import verify_files
from edged.errors import (
    DigestMismatchError,
    DiskFullError,
    FileMissingError,
    HostUnreachableError,
)
from tests.fakes.repositories import make_files, make_manifest
from tests.fakes.static_host import Fault
from tests.fakes.updates import THREE_CHUNKS, blob_path, bundle_of


def test_newer_version_shares_the_blobs_it_has_in_common(it, publisher, web):
    files = make_files(model_bytes=THREE_CHUNKS)
    publisher.publish(make_manifest(files), files)
    it.poll()
    web.requests.clear()
    changed = {**files, "sbom.json": b"changed"}
    publisher.publish(make_manifest(changed, version="1.0.1"), changed)

    assert it.poll().staged == ("demo 1.0.1",)

    assert len([path for path in web.paths() if path.startswith("blobs/")]) == 1


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

    (failure,) = it.poll().undone
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

    assert bool(summary.undone) is not is_chunked
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
        (failure,) = it.poll().undone

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
        (failure,) = it.poll().undone
    assert isinstance(failure.error, DiskFullError)

    assert it.poll().staged == ("demo 1.0.0",)


def test_missing_blob_does_not_stop_the_others(it, publisher, web):
    manifest = publisher.release("1.0.0")
    publisher.release("1.0.0", name="other")
    web.faults[blob_path(manifest)] = Fault(status=404)

    summary = it.poll()

    assert summary.staged == ("other 1.0.0",)
    assert isinstance(summary.undone[0].error, FileMissingError)
