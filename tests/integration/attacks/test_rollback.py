"""Rollback: the device is shown an older state, or an older part of it, each rightly signed in its time."""

import json

import pytest
from tuf.api.metadata import MetaFile

from edged.codec import encode_canonical
from edged.files import hash_bytes
from edged.ops.rollout import Rollout, RolloutEntry
from tests.fakes.attack_scenes import ONLINE


def test_honest_host_is_followed(scene):
    """So that all others fail for the right reason."""
    assert scene.poll() == set()
    assert scene.changed() == set()
    assert scene.recovers()


def test_older_timestamp_is_refused(scene):
    """Has no key; shows everything as it was before."""
    scene.show("first")

    assert scene.poll() == {"metadata-rollback"}
    assert scene.changed() == set()
    assert scene.recovers()


def test_older_snapshot_is_refused(scene):
    """Has the key of timestamp; lets a new one name the snapshot of before."""
    older = json.loads(scene.file("first", "timestamp"))["signed"]["meta"]["snapshot.json"]

    scene.thief("timestamp").sign("timestamp", lambda t: setattr(t, "snapshot_meta", MetaFile.from_dict(dict(older))))

    assert scene.poll() == {"metadata-rollback"}
    assert scene.changed() == set()


def pin_older(scene, role, older):
    """Let a new snapshot and timestamp name older metadata of one role."""
    version = json.loads(older)["signed"]["version"]
    meta = MetaFile(version, len(older), {"sha256": hash_bytes(older)})
    scene.thief(*ONLINE).pin(snapshot=lambda snapshot: snapshot.meta.update({f"{role}.json": meta}))


@pytest.mark.parametrize("role", ["m-demo", "ops", "stop"])
def test_older_role_is_refused(scene, role):
    """Has the keys of timestamp and snapshot; new ones name the metadata of a role as it was before."""
    pin_older(scene, role, scene.file("first", role))

    assert scene.poll() == {"metadata-rollback"}
    assert scene.changed() == set()


def test_older_targets_are_refused(scene):
    """The same with the role that says whose keys sign which model: a key that was taken away must not come back."""
    older = scene.file("second", "targets")
    scene.thief(*ONLINE, "targets").sign("targets")
    scene.thief(*ONLINE).pin("targets")
    assert scene.poll() == set()

    pin_older(scene, "targets", older)

    assert scene.poll() == {"metadata-rollback"}
    assert scene.changed() == set()


def test_role_that_disappears_is_refused(scene):
    """Has the keys of timestamp and snapshot; leaves out the stop role, so that nothing would be stopped."""
    scene.thief(*ONLINE).pin(snapshot=lambda snapshot: snapshot.meta.pop("stop.json"))

    assert scene.poll() == {"trust-failed"}
    assert scene.changed() == set()


def test_older_root_in_place_of_the_next_is_refused(scene):
    """Has no key; shows the first root again."""
    root = scene.past.publisher.root_metadata.read_bytes()
    (scene.mirror / "metadata/2.root.json").write_bytes(root)

    assert scene.poll() == {"metadata-rollback"}
    assert scene.changed() == set()
    assert scene.recovers()


def test_signed_bundle_below_its_floor_does_not_come_back(scene):
    """Has the keys of ops, timestamp and snapshot; rolls out 1.0.0, whose signature is good and whose faults are known."""
    entry = RolloutEntry(version="1.0.0")
    document = Rollout(schema=1, issued="2026-01-01T00:00:00Z", models={"demo": entry})
    thief = scene.thief(*ONLINE, "ops")
    thief.target("ops", "ops/rollout.json", encode_canonical(document))
    thief.pin("ops")

    assert scene.poll() == {"below-floor"}
    assert scene.changed() == {"ops/rollout.json"}
    assert b'"1.1.0"' in scene.acted_on()["ops/standing.json"], (
        "by which the daemon refuses what is in the store already"
    )


def test_floor_does_not_sink(scene):
    """Has the keys of the model, timestamp and snapshot; signs targets without a floor."""
    thief = scene.thief(*ONLINE, "model-demo")

    def forget(signed):
        for info in signed.targets.values():
            info.unrecognized_fields.clear()

    thief.sign("m-demo", forget)
    thief.pin("m-demo")

    assert scene.poll() == set()
    assert scene.changed() == set()
