"""A bundle that was built for publication is served under a version that says that it was not."""

import pytest

from edged.bundle.edgeb import pack
from edged.bundle.fallback import PreviousVersion, SmallerVariant
from edged.bundle.parse import parse_manifest
from edged.bundle.read import read_bundle
from edged.codec import encode_canonical
from edged.dev.local.from_bundle import bundle_from_packed, renamed
from edged.errors import ManifestError, UnsafeModelError
from edged.ids import Version
from tests.fakes.plain_manifests import OTHERS, toy_manifest, write_toy

VERSION = Version.parse("1.0.0-local.3")


@pytest.fixture
def packed(tmp_path):
    write_toy(tmp_path / "toy", toy_manifest())
    pack(tmp_path / "toy", tmp_path / "toy.edgeb")
    return tmp_path / "toy.edgeb"


def test_variants_are_named_by_the_version_also_where_a_rule_names_one():
    manifest = renamed(
        toy_manifest(
            fallback=[{"use": "smaller-variant", "variant": "toy-1.0.0-fp32-any"}, {"use": "previous-version"}]
        ),
        VERSION,
    )

    assert manifest.version == "1.0.0-local.3"
    assert [variant.id for variant in manifest.variants] == ["toy-1.0.0-local.3-fp32-any"]
    assert manifest.fallback == (SmallerVariant(variant="toy-1.0.0-local.3-fp32-any"), PreviousVersion())
    assert parse_manifest(encode_canonical(manifest), source="it") == manifest


def test_another_name_for_the_same_version_is_the_same_bundle():
    """By this it is known that a bundle has not changed."""
    assert renamed(renamed(toy_manifest(), VERSION), Version(1, 0, 0)) == toy_manifest()


def test_a_model_that_no_device_would_load_is_refused_here(packed, tmp_path):
    with pytest.raises(UnsafeModelError):
        bundle_from_packed(packed, tmp_path / "new", version=VERSION)


def test_a_version_that_gets_too_long_is_refused_here(packed, tmp_path, monkeypatch):
    monkeypatch.setattr("edged.dev.local.from_bundle.check_model", lambda _: None)

    with pytest.raises(ManifestError, match="version"):
        bundle_from_packed(packed, tmp_path / "new", version=Version.parse(f"1.0.0-{'x' * 60}.local.1"))


def test_its_files_are_those_of_the_bundle(packed, tmp_path, monkeypatch):
    monkeypatch.setattr("edged.dev.local.from_bundle.check_model", lambda _: None)

    manifest = bundle_from_packed(packed, tmp_path / "new", version=VERSION)

    assert read_bundle(tmp_path / "new").manifest == manifest
    assert {path: (tmp_path / "new" / path).read_bytes() for path in OTHERS} == {
        path: data for path, (_, data) in OTHERS.items()
    }
