"""A bundle that was built for publication is made into a local version once for each change, its version among them."""

import json
import shutil

import pytest

from edged.bundle.edgeb import pack, read_manifest
from edged.bundle.manifest import MANIFEST_NAME
from edged.cli.exits import Exit
from edged.codec import encode_canonical
from edged.dev.local.building import main
from edged.dev.local.from_bundle import renamed
from edged.ids import Version
from tests.fakes.bundles import make_bundle


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / "given")


@pytest.fixture
def build(tmp_path, bundle, capfd):
    """Build the bundle, as the supervising process has it done; returns the version, None where there is none."""
    (tmp_path / "place").mkdir()

    def build(expected=Exit.OK):
        copy = tmp_path / "place/adder.edgeb"
        pack(bundle, copy)
        options = {"place": "place", "store": "store", "in-use": "in-use.json", "socket": "edged.sock"}
        words = [f"--{name}={tmp_path / path}" for name, path in options.items()]
        assert main(["adder", str(copy), str(bundle), *words]) == expected
        assert not copy.exists()
        return json.loads(capfd.readouterr().out)["version"] if expected == Exit.OK else None

    return build


def call(bundle, version):
    _, manifest = read_manifest(bundle)
    (bundle / MANIFEST_NAME).write_bytes(encode_canonical(renamed(manifest, version)))


def test_what_has_not_changed_is_not_made_again(build):
    assert [build(), build()] == ["1.0.0-local.1", "1.0.0-local.1"]


def test_a_changed_version_is_a_change_whatever_else_is_the_same(build, bundle):
    build()
    call(bundle, Version(2, 0, 0))

    assert build() == "2.0.0-local.2"


def test_what_is_not_in_the_store_any_more_is_made_again(build, tmp_path):
    build()
    shutil.rmtree(tmp_path / "store")

    assert build() == "1.0.0-local.1"


def test_what_cannot_be_made_leaves_nothing_and_is_told_by_the_name_that_the_developer_gave(
    build, bundle, tmp_path, capfd
):
    call(bundle, Version(1, 0, 0, ("x" * 56,)))

    build(expected=Exit.VERIFICATION_FAILED)

    assert list((tmp_path / "place").iterdir()) == []
    assert f"{bundle}: /version: " in capfd.readouterr().err
