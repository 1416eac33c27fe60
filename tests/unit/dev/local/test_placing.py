"""The store of a developer's directory keeps of their models what is used, and the newest."""

import pytest

from edged.bundle.read import read_bundle, verify_files
from edged.dev.local.from_bundle import renamed
from edged.dev.local.placing import newest_manifest, put, remove_old, versions_of
from edged.ids import ModelName, Version
from edged.store.in_use import write_in_use
from edged.store.layout import StoreLayout
from tests.fakes.plain_manifests import toy_manifest, write_toy

TOY = ModelName("toy")


@pytest.fixture
def layout(tmp_path):
    return StoreLayout(tmp_path / "store")


@pytest.fixture
def place(tmp_path, layout):
    """Put a version into the store; returns where it is."""

    def place(version):
        directory = tmp_path / "toy.new"
        manifest = renamed(toy_manifest(), Version.parse(version))
        write_toy(directory, manifest)
        return put(directory, layout, manifest)

    return place


def names(layout):
    return sorted(map(str, versions_of(layout, TOY)))


def test_a_bundle_is_in_the_store_as_the_daemon_reads_it(layout, place):
    bundle = read_bundle(place("1.0.0-local.1"))

    assert bundle.directory == layout.bundle(TOY, Version.parse("1.0.0-local.1"))
    assert verify_files(bundle, bundle.manifest.files_for(bundle.variants)).paths
    assert {path.stat().st_mode & 0o777 for path in bundle.directory.rglob("*") if path.is_file()} == {0o444}


def test_a_store_that_is_not_there_yet_has_no_versions(layout):
    assert versions_of(layout, TOY) == []
    assert newest_manifest(layout, TOY) is None


def test_the_newest_local_one_is_read_whatever_else_there_is(layout, place):
    for version in ("1.0.0-local.2", "0.9.0-local.10", "2.0.0"):
        place(version)

    assert newest_manifest(layout, TOY).version == "0.9.0-local.10"


def test_what_cannot_be_read_is_no_version_to_go_on_from(layout, place):
    bundle = place("1.0.0-local.1")
    (bundle / "manifest.json").chmod(0o600)
    (bundle / "manifest.json").write_bytes(b"{}")

    assert newest_manifest(layout, TOY) is None


def test_what_a_slot_names_and_the_newest_stay(tmp_path, layout, place):
    for version in ("1.0.0-local.1", "1.0.0-local.2", "1.0.0-local.3", "1.0.0-local.4", "0.9.0"):
        place(version)
    write_in_use(tmp_path / "in-use.json", {TOY: frozenset({Version.parse("1.0.0-local.2")})})

    remove_old(layout, TOY, in_use=tmp_path / "in-use.json")

    assert names(layout) == ["0.9.0", "1.0.0-local.2", "1.0.0-local.4"]


def test_nothing_goes_while_nobody_says_what_is_used(tmp_path, layout, place):
    for version in ("1.0.0-local.1", "1.0.0-local.2"):
        place(version)

    remove_old(layout, TOY, in_use=tmp_path / "in-use.json")

    assert len(names(layout)) == 2
