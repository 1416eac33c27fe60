"""Arbitrary software: the device is offered what its publisher never signed, or something else than what it is called."""

import shutil

import pytest

from edged.codec import encode_canonical
from edged.select.machine import read_machine
from edged.select.matcher import usable_variants
from tests.fakes.attack_scenes import ONLINE
from tests.fakes.repositories import Publisher, make_files, make_manifest

EVIL = make_files(seed="evil")


def manifest_of(version, name="demo", **options):
    return encode_canonical(make_manifest(EVIL, name=name, version=version, **options))


def test_repository_of_a_stranger_is_refused(scene, tmp_path):
    """Has no key of ours; shows a whole repository of his own."""
    stranger = Publisher(tmp_path / "stranger")
    stranger.release("9.9.9")
    shutil.rmtree(scene.mirror)
    shutil.copytree(stranger.root, scene.mirror)

    assert scene.poll() == {"signature-invalid"}
    assert scene.changed() == set()
    assert scene.recovers()


def test_bundle_that_a_stranger_signed_is_refused(scene):
    """Has no key; adds a version of his own to ours, and signs all that leads to it."""
    thief = scene.thief()
    thief.target("m-demo", "models/demo/9.9.9/manifest.json", manifest_of("9.9.9"))
    thief.pin("m-demo")

    assert scene.poll() == {"signature-invalid"}
    assert scene.changed() == set()
    assert scene.recovers()


@pytest.mark.parametrize("what", ["manifest", "blob", "index"])
def test_file_in_place_of_a_signed_one_is_refused(scene, what):
    """Has no key; puts a file of his own in the place of one that 1.2.0 pins."""
    scene.show("third")
    model = scene.past.newest.variants[0].files[0]
    path = {
        "manifest": next((scene.mirror / "targets/models/demo/1.2.0").iterdir()),
        "blob": scene.mirror / "blobs" / model.sha256[:2] / model.sha256,
        "index": scene.mirror / "index" / model.sha256,
    }[what]
    evil = manifest_of("1.2.0") if what == "manifest" else b"evil" * (path.stat().st_size // 4)
    path.write_bytes(evil[: path.stat().st_size].ljust(path.stat().st_size))

    assert scene.poll() == {"digest-mismatch"}
    assert scene.changed() == {"ops/rollout.json"}
    assert scene.recovers()


def test_manifest_of_another_model_is_refused(scene):
    """Has the keys of the model, ops, timestamp and snapshot; signs as ``demo`` what is the manifest of ``other``."""
    thief = scene.thief(*ONLINE, "model-demo", "ops")
    thief.target("m-demo", "models/demo/2.0.0/manifest.json", manifest_of("2.0.0", name="other"))
    roll_out(thief, "2.0.0")
    thief.pin("m-demo", "ops")

    assert scene.poll() == {"bundle-invalid"}
    assert scene.changed() == {"ops/rollout.json"}


def test_bundle_for_another_machine_is_not_installed(scene):
    """Rightly signed, and of no use here."""
    thief = scene.thief(*ONLINE, "model-demo", "ops")
    elsewhere = ("arm64",) if read_machine().arch == "amd64" else ("amd64",)
    thief.target("m-demo", "models/demo/2.0.0/manifest.json", manifest_of("2.0.0", arch=elsewhere))
    roll_out(thief, "2.0.0")
    thief.pin("m-demo", "ops")
    here = read_machine()

    assert scene.poll(usable=lambda manifest: usable_variants(manifest, here)) == {"bundle-incompatible"}
    assert scene.changed() == {"ops/rollout.json"}


def test_model_role_signs_its_own_model_only(scene):
    """Has the keys of ``other``, ops, timestamp and snapshot; lists a version of ``demo`` under the role of ``other``."""
    thief = scene.thief(*ONLINE, "model-other", "ops")
    thief.target("m-other", "models/demo/9.9.9/manifest.json", manifest_of("9.9.9"))
    roll_out(thief, "9.9.9")
    thief.pin("m-other", "ops")

    assert scene.poll() == {"file-missing"}
    assert scene.changed() == {"ops/rollout.json"}


def roll_out(thief, version):
    entry = {"demo": {"version": version}}
    document = {"schema": 1, "issued": "2026-01-01T00:00:00Z", "models": entry}
    thief.target("ops", "ops/rollout.json", encode_canonical(document))
