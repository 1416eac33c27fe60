"""Bundles appear in the store whole or not at all."""

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

import pytest

from edged.bundle.read import read_bundle, verify_files
from edged.errors import DigestMismatchError, DiskFullError, StoreError, TrustError
from edged.store import install
from edged.store.disk import install_document
from edged.store.install import (
    drop_damaged,
    drop_partials,
    install_bundle,
    is_installed,
    prepare_store,
)
from edged.store.layout import StoreLayout
from tests.fakes.repositories import make_files, make_manifest, sign_off, some_model


def nothing() -> None:
    """Progress that nobody watches."""


@pytest.fixture
def layout(tmp_path):
    made = StoreLayout(tmp_path / "store")
    prepare_store(made)
    return made


def put_blobs(layout, files):
    for data in files.values():
        path = layout.blob(hashlib.sha256(data).hexdigest())
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_bytes(data)
            path.chmod(0o444)


def signed_bundle(**changes):
    files = make_files()
    return sign_off(make_manifest(files, **changes)), files


def entries_of(signed):
    return signed.manifest.files_for(signed.manifest.variants)


def stage(layout, signed, files):
    put_blobs(layout, files)
    return install_bundle(layout, signed, entries_of(signed), progress=nothing)


def test_installed_bundle_reads_back(layout):
    signed, files = signed_bundle()

    directory = stage(layout, signed, files)

    bundle = read_bundle(directory)
    assert (bundle.manifest, bundle.digest) == (signed.manifest, signed.digest)
    assert verify_files(bundle, entries_of(signed)).paths["kit/kit.json"].read_bytes() == files["kit/kit.json"]
    assert is_installed(layout, signed, entries_of(signed))
    assert list(layout.staging.iterdir()) == []


def test_everybody_reads_and_nobody_writes(layout):
    """The daemon is another user: files 0444, directories 0755, whatever the umask."""
    signed, files = signed_bundle()
    old = os.umask(0o077)
    try:
        directory = stage(layout, signed, files)
    finally:
        os.umask(old)

    assert {p.stat().st_mode & 0o777 for p in directory.rglob("*") if p.is_file()} == {0o444}
    assert {p.stat().st_mode & 0o777 for p in [directory, *directory.rglob("*")] if p.is_dir()} == {0o755}


def test_files_share_their_blobs(layout):
    signed, files = signed_bundle()

    directory = stage(layout, signed, files)

    entry = signed.manifest.variants[0].files[0]
    assert (directory / entry.path).samefile(layout.blob(entry.digest))


def test_installing_again_changes_nothing(layout):
    signed, files = signed_bundle()
    first = stage(layout, signed, files)
    inode = first.stat().st_ino

    assert stage(layout, signed, files) == first
    assert first.stat().st_ino == inode


def test_version_never_changes_content(layout):
    signed, files = signed_bundle()
    stage(layout, signed, files)
    other, _ = signed_bundle(min_edged="0.0.1")

    with pytest.raises(TrustError, match="repository now offers"):
        stage(layout, other, files)
    with pytest.raises(TrustError):
        is_installed(layout, other, entries_of(other))

    assert read_bundle(layout.bundle(signed.manifest.model, signed.manifest.semver)).digest == signed.digest


def test_altered_blob_is_refused_and_forgotten(layout):
    """It has the right size, so only the hash from disk can tell."""
    signed, files = signed_bundle()
    put_blobs(layout, files)
    blob = layout.blob(signed.manifest.variants[0].files[0].digest)
    blob.chmod(0o644)
    blob.write_bytes(bytes(len(files["model.onnx"])))

    with pytest.raises(DigestMismatchError):
        install_bundle(layout, signed, entries_of(signed), progress=nothing)

    assert not blob.exists()
    assert not layout.bundle(signed.manifest.model, signed.manifest.semver).exists()
    assert list(layout.staging.iterdir()) == []


def test_missing_blob_is_a_store_error(layout):
    signed, _ = signed_bundle()

    with pytest.raises(StoreError):
        install_bundle(layout, signed, entries_of(signed), progress=nothing)


def test_files_of_a_variant_that_became_usable_are_added(layout):
    files = {**make_files(), "small.onnx": some_model(500, "small")}
    signed = sign_off(make_manifest(files))
    put_blobs(layout, files)
    first = signed.manifest.files_for(signed.manifest.variants[:1])
    directory = install_bundle(layout, signed, first, progress=nothing)
    assert [v.precision for v in read_bundle(directory).variants] == ["fp32"]
    assert not is_installed(layout, signed, entries_of(signed))

    install_bundle(layout, signed, entries_of(signed), progress=nothing)

    assert [v.precision for v in read_bundle(directory).variants] == ["fp32", "int8"]


@pytest.mark.parametrize("damage", ["manifest gone", "manifest empty", "file gone", "file short"])
def test_damaged_bundle_is_mended(layout, damage):
    """What a broken disk lost is put back by the next poll."""
    signed, files = signed_bundle()
    directory = stage(layout, signed, files)
    match damage:
        case "manifest gone":
            (directory / "manifest.json").unlink()
        case "manifest empty":
            (directory / "manifest.json").chmod(0o644)
            (directory / "manifest.json").write_bytes(b"")
        case "file gone":
            (directory / "model.onnx").unlink()
        case "file short":
            (directory / "model.onnx").unlink()
            (directory / "model.onnx").write_bytes(b"short")
    assert not is_installed(layout, signed, entries_of(signed))

    stage(layout, signed, files)

    bundle = read_bundle(directory)
    verify_files(bundle, entries_of(signed))


class PowerCutError(BaseException):
    """Nothing runs after it, not even error handling that catches ``Exception``."""


@pytest.mark.parametrize("step", range(40))
def test_power_cut_leaves_the_bundle_whole_or_absent(layout, monkeypatch, step):
    """At any call to the disk; the next start cleans up and goes on."""
    signed, files = signed_bundle()
    put_blobs(layout, files)
    calls = 0

    def cutting(real):
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls > step:
                raise PowerCutError
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Path, "hardlink_to", cutting(Path.hardlink_to))
        patch.setattr(Path, "rename", cutting(Path.rename))
        patch.setattr(Path, "write_bytes", cutting(Path.write_bytes))
        patch.setattr(install, "sync_directory", cutting(install.sync_directory))
        patch.setattr(install, "hash_file", cutting(install.hash_file))
        patch.setattr(install.shutil, "rmtree", cutting(install.shutil.rmtree))
        with suppress(PowerCutError):
            install_bundle(layout, signed, entries_of(signed), progress=nothing)
    target = layout.bundle(signed.manifest.model, signed.manifest.semver)
    if target.exists():
        verify_files(read_bundle(target), entries_of(signed))

    prepare_store(layout)
    assert list(layout.staging.iterdir()) == []
    install_bundle(layout, signed, entries_of(signed), progress=nothing)
    verify_files(read_bundle(target), entries_of(signed))


def test_start_removes_leftovers_and_keeps_downloads(layout):
    (layout.staging / "half").mkdir()
    (layout.partial / "junk").write_text("x")
    kept = layout.partial / ("a" * 64)
    kept.write_text("half a blob")

    prepare_store(layout)

    assert list(layout.staging.iterdir()) == []
    assert list(layout.partial.iterdir()) == [kept]


def test_downloads_nobody_wants_are_dropped(layout):
    for name in ("a" * 64, "b" * 64, "a" * 64 + ".index", "b" * 64 + ".index"):
        (layout.partial / name).write_text("x")

    drop_partials(layout, keep={"a" * 64})

    assert sorted(p.name for p in layout.partial.iterdir()) == ["a" * 64, "a" * 64 + ".index"]


def test_rollout_is_replaced_whole(layout):
    install_document(layout.rollout, b"one")
    install_document(layout.rollout, b"two")

    assert layout.rollout.read_bytes() == b"two"
    assert layout.rollout.stat().st_mode & 0o777 == 0o644


def test_full_disk_keeps_the_rollout_before(layout, monkeypatch):
    install_document(layout.rollout, b"one")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        install_document(layout.rollout, b"two")

    assert layout.rollout.read_bytes() == b"one"


def test_file_that_the_disk_changed_is_removed_with_its_blob_to_be_fetched_again(layout):
    """Sizes alone do not show it; the bundle is whole again after the next download."""
    signed, files = signed_bundle()
    stage(layout, signed, files)
    entry = entries_of(signed)[0]
    installed = layout.bundle(signed.manifest.model, signed.manifest.semver) / entry.path
    installed.chmod(0o644)
    installed.write_bytes(bytes(entry.size))

    assert drop_damaged(layout, signed, entries_of(signed), progress=nothing) is True
    assert not installed.exists()
    assert not layout.blob(entry.digest).exists()
    assert not is_installed(layout, signed, entries_of(signed))


def test_intact_bundle_stays_as_it_is(layout):
    signed, files = signed_bundle()
    stage(layout, signed, files)

    assert drop_damaged(layout, signed, entries_of(signed), progress=nothing) is False
    assert is_installed(layout, signed, entries_of(signed))


@pytest.fixture
def lost(monkeypatch):
    """Files with a block that the disk cannot read any more: how most disks show their damage (EIO), and until they are written anew."""
    files = []

    def lose(path):
        # Open, so that no other file gets its number.
        files.append(path.open("rb"))

    def refusing(really):
        def read(path, **options):
            if path.exists() and any(os.path.samestat(path.stat(), os.fstat(file.fileno())) for file in files):
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return really(path, **options)

        return read

    for name in ("hash_file", "read_limited"):
        monkeypatch.setattr(install, name, refusing(getattr(install, name)))
    yield lose
    for file in files:
        file.close()


def test_file_that_the_disk_lost_is_removed_to_be_fetched_again(layout, lost):
    signed, files = signed_bundle()
    directory = stage(layout, signed, files)
    lost(directory / "model.onnx")

    assert drop_damaged(layout, signed, entries_of(signed), progress=nothing) is True

    assert not is_installed(layout, signed, entries_of(signed))
    stage(layout, signed, files)
    verify_files(read_bundle(directory), entries_of(signed))
    assert drop_damaged(layout, signed, entries_of(signed), progress=nothing) is False


def test_manifest_that_the_disk_lost_is_replaced(layout, lost):
    signed, files = signed_bundle()
    directory = stage(layout, signed, files)
    lost(directory / "manifest.json")

    assert not is_installed(layout, signed, entries_of(signed))
    stage(layout, signed, files)

    assert is_installed(layout, signed, entries_of(signed))


def test_blob_that_the_disk_lost_is_removed_when_it_is_staged(layout, lost):
    """It has the right size, so nothing else would fetch it again."""
    signed, files = signed_bundle()
    put_blobs(layout, files)
    blob = layout.blob(hashlib.sha256(files["model.onnx"]).hexdigest())
    lost(blob)

    with pytest.raises(DigestMismatchError, match=r"model\.onnx"):
        install_bundle(layout, signed, entries_of(signed), progress=nothing)

    assert not blob.exists()
    stage(layout, signed, files)


def test_disk_that_refuses_otherwise_has_lost_nothing(layout, monkeypatch):
    signed, files = signed_bundle()
    directory = stage(layout, signed, files)

    def refuse(path, **_options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(install, "hash_file", refuse)
    with pytest.raises(StoreError, match="Permission denied"):
        drop_damaged(layout, signed, entries_of(signed), progress=nothing)
    monkeypatch.setattr(install, "read_limited", refuse)
    with pytest.raises(StoreError, match="Permission denied"):
        is_installed(layout, signed, entries_of(signed))
    assert (directory / "model.onnx").exists()
