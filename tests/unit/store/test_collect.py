"""Garbage collection on a real store: what goes, what stays, and what the daemon may do meanwhile."""

import shutil

import pytest

from edged import journal
from edged.bundle.read import read_bundle, verify_files
from edged.errors import DiskFullError, StoreError
from edged.ids import ModelName, Version
from edged.store import collect as collecting
from edged.store.collect import Keeping, collect, installed_versions
from edged.store.in_use import write_in_use
from edged.store.install import install_bundle, prepare_store
from edged.store.layout import StoreLayout
from tests.fakes.repositories import make_files, make_manifest, sign_off

MODEL = ModelName("demo")


class Store:
    """A store with the versions of one model, and a document that says which of them are used."""

    def __init__(self, directory) -> None:
        self.layout = StoreLayout(directory / "store")
        self.in_use = directory / "in-use.json"
        prepare_store(self.layout)

    def install(self, *versions, model=MODEL, seed=None):
        for version in versions:
            files = make_files(seed=seed or f"{model} {version}")
            signed = sign_off(make_manifest(files, name=model, version=version))
            entries = signed.manifest.files_for(signed.manifest.variants)
            for entry in entries:
                blob = self.layout.blob(entry.digest)
                blob.parent.mkdir(exist_ok=True)
                if not blob.exists():
                    blob.write_bytes(files[entry.path])
            install_bundle(self.layout, signed, entries, progress=lambda: None)

    def use(self, *versions):
        write_in_use(self.in_use, {MODEL: frozenset(map(Version.parse, versions))})

    def collect(self, *, brought=(), blobs=(), keep_versions=0, reserve_bytes=0, needed_bytes=0):
        keeping = Keeping(
            in_use=self.in_use,
            brought={MODEL: [Version.parse(version) for version in brought]},
            floors={},
            blobs=blobs,
            keep_versions=keep_versions,
            reserve_bytes=reserve_bytes,
        )
        gone = collect(self.layout, keeping, needed_bytes=needed_bytes, progress=lambda: None)
        return [str(version) for _, version in gone]

    def installed(self):
        return {str(version) for version in installed_versions(self.layout).get(MODEL, ())}

    def blobs(self):
        return {path.name for path in self.layout.blobs.glob("*/*")}

    def is_whole(self, version):
        bundle = read_bundle(self.layout.bundle(MODEL, Version.parse(version)))
        verify_files(bundle, bundle.manifest.files_for(bundle.variants))
        return True


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def set_free(monkeypatch, *free_bytes):
    """Let the disk have so much free space, one number after the other, the last for ever."""
    left = list(free_bytes)

    def usage(_path):
        return shutil._ntuple_diskusage(1 << 40, 0, left.pop(0) if len(left) > 1 else left[0])

    monkeypatch.setattr(collecting.shutil, "disk_usage", usage)


def test_version_that_nobody_needs_goes_with_its_blobs(store):
    store.install("1.0.0", "2.0.0", "3.0.0", "4.0.0")
    store.use("3.0.0", "2.0.0")

    assert store.collect(brought=["4.0.0"]) == ["1.0.0"]

    assert store.installed() == {"2.0.0", "3.0.0", "4.0.0"}
    assert all(store.is_whole(version) for version in ("2.0.0", "3.0.0", "4.0.0"))
    assert len(store.blobs()) == 9
    assert list(store.layout.staging.iterdir()) == []


def test_blob_that_another_version_has_stays(store):
    store.install("1.0.0", "2.0.0", "3.0.0", seed="the same files")
    store.use("2.0.0", "3.0.0")

    assert store.collect() == ["1.0.0"]

    assert store.is_whole("2.0.0")
    assert len(store.blobs()) == 3


def test_without_a_document_nothing_goes(store):
    """After a boot the daemon has not said yet what it uses; a daemon that never ran may be about to."""
    store.install("1.0.0", "2.0.0")

    assert store.collect() == []
    assert store.installed() == {"1.0.0", "2.0.0"}


def test_spared_versions_go_only_while_the_disk_is_short_and_only_as_many_as_it_takes(store, monkeypatch):
    store.install("1.0.0", "2.0.0", "3.0.0", "4.0.0", "5.0.0")
    store.use("4.0.0", "5.0.0")
    set_free(monkeypatch, 100, 100, 200)

    assert store.collect(keep_versions=3, reserve_bytes=150) == ["1.0.0", "2.0.0"]

    assert store.installed() == {"3.0.0", "4.0.0", "5.0.0"}


def test_download_that_does_not_fit_beside_the_reserve_makes_room(store, monkeypatch):
    store.install("1.0.0", "2.0.0", "3.0.0")
    store.use("2.0.0", "3.0.0")
    set_free(monkeypatch, 160)

    assert store.collect(keep_versions=2, reserve_bytes=150, needed_bytes=10) == []
    assert store.collect(keep_versions=2, reserve_bytes=150, needed_bytes=11) == ["1.0.0"]


def test_version_that_comes_into_use_meanwhile_gets_its_name_back(store, monkeypatch):
    """The daemon writes its document right after the updater took the name away."""
    store.install("1.0.0", "2.0.0", "3.0.0")
    store.use("2.0.0", "3.0.0")
    real, answers = collecting.read_in_use, []

    def read(path):
        answers.append(real(path))
        store.use("1.0.0", "3.0.0")
        return answers[-1]

    monkeypatch.setattr(collecting, "read_in_use", read)

    assert store.collect() == []
    assert len(answers) == 2
    assert store.is_whole("1.0.0")
    assert list(store.layout.staging.iterdir()) == []


def test_document_that_vanishes_meanwhile_stops_it(store, monkeypatch):
    store.install("1.0.0", "2.0.0", "3.0.0")
    store.use("2.0.0", "3.0.0")
    real = collecting.read_in_use

    def read(path):
        found = real(path)
        path.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(collecting, "read_in_use", read)

    assert store.collect() == []
    assert store.is_whole("1.0.0")


def test_lone_blob_goes_unless_a_bundle_on_its_way_needs_it(store):
    """What was fetched for a bundle is no bundle's file until all of it is there."""
    store.install("1.0.0")
    store.use("1.0.0")
    needed, lone = "a" * 64, "b" * 64
    for digest in (needed, lone):
        store.layout.blob(digest).parent.mkdir(exist_ok=True)
        store.layout.blob(digest).write_bytes(b"x")

    store.collect(blobs=None)
    assert {needed, lone} <= store.blobs()

    store.collect(blobs=[needed])
    assert needed in store.blobs()
    assert lone not in store.blobs()
    assert store.is_whole("1.0.0")


def test_links_are_not_followed_and_strange_names_are_left_alone(store, tmp_path):
    """Nobody but the updater writes here; whoever did, nothing outside of the store is touched."""
    store.install("1.0.0", "2.0.0", "3.0.0")
    store.use("2.0.0", "3.0.0")
    outside = tmp_path / "outside"
    (outside / "0.1.0").mkdir(parents=True)
    (outside / "0.1.0" / "precious").write_bytes(b"kept")
    (outside / ("c" * 64)).write_bytes(b"kept")
    (store.layout.bundles / "linked").symlink_to(outside)
    (store.layout.bundles / MODEL / "0.1.0").symlink_to(outside / "0.1.0")
    (store.layout.bundles / MODEL / "not a version").mkdir()
    (store.layout.bundles / MODEL / "1.0.0" / "link").symlink_to(outside)
    (store.layout.blobs / "cc").symlink_to(outside)

    assert store.collect() == ["1.0.0"]

    assert (outside / "0.1.0" / "precious").read_bytes() == b"kept"
    assert (outside / ("c" * 64)).exists()
    assert (store.layout.bundles / MODEL / "not a version").is_dir()


def test_removal_is_in_the_journal(store, caplog):
    caplog.set_level("INFO")
    store.install("1.0.0", "2.0.0", "3.0.0")
    store.use("2.0.0", "3.0.0")

    store.collect()

    (record,) = [r for r in caplog.records if r.edged_message_id == journal.VERSION_COLLECTED.message_id]
    size = sum(entry.size for entry in _files_of("1.0.0"))
    assert record.edged_fields["version"] == Version.parse("1.0.0")
    assert record.edged_fields["reason"] == "surplus"
    assert record.edged_fields["freed_bytes"] >= size


@pytest.mark.parametrize(("number", "error"), [(5, StoreError), (28, DiskFullError)])
def test_disk_that_refuses_has_a_name(store, monkeypatch, number, error):
    store.install("1.0.0", "2.0.0", "3.0.0")
    store.use("2.0.0", "3.0.0")

    def refuse(_path):
        raise OSError(number, "no")

    monkeypatch.setattr(collecting, "sync_directory", refuse)

    with pytest.raises(error, match="collecting garbage"):
        store.collect()
    assert store.is_whole("2.0.0")
    assert store.is_whole("3.0.0")


def _files_of(version):
    files = make_files(seed=f"{MODEL} {version}")
    manifest = make_manifest(files, name=MODEL, version=version)
    return manifest.files_for(manifest.variants)
