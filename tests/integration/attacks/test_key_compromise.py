"""What the thief of each key can do, and what he cannot. He also owns the mirror.

==============================  ==========================================================  =========================================
stolen                          can                                                         cannot
==============================  ==========================================================  =========================================
timestamp                       freeze devices for a week, count versions up                change anything
snapshot                        nothing                                                     as below
ops, stop, a model's, targets   nothing                                                     as below
2 of 5 root keys                nothing                                                     as below
timestamp and snapshot, and:    freeze for longer, count versions up                        lower a version, leave out a role
- ops                           choose among signed versions above their floors             sign a bundle, lift a stop
- stop                          stop models, and lift his own and others' stops             sign a bundle, roll one out
- a model's                     sign a bundle of that model, raise its floor                roll it out, touch another model
- targets                       all of it for models, ops and stop                          change the root: a new one takes it away
==============================  ==========================================================  =========================================
"""

import json

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole

from edged.codec import encode_canonical
from tests.fakes.attack_scenes import ONLINE
from tests.fakes.repositories import make_files, make_manifest, write_bundle

ISSUED = "2026-01-01T00:00:00Z"
EVIL = make_files(seed="evil")


def add_bundle(scene, thief, version, *, name="demo", role=None):
    """Put all files of a version on the mirror, and sign it."""
    manifest = make_manifest(EVIL, name=name, version=version)
    bundle = write_bundle(scene.mirror.parent / "evil", manifest, EVIL)
    for entry in [*manifest.files, *manifest.variants[0].files]:
        place = scene.mirror / "blobs" / entry.sha256[:2] / entry.sha256
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((bundle / entry.path).read_bytes())
    thief.target(role or f"m-{name}", f"models/{name}/{version}/manifest.json", encode_canonical(manifest))


def roll_out(thief, **versions):
    models = {name: {"version": version} for name, version in versions.items()}
    thief.target("ops", "ops/rollout.json", encode_canonical({"schema": 1, "issued": ISSUED, "models": models}))


def set_stops(thief, serial, models):
    document = {"schema": 1, "issued": ISSUED, "serial": serial, "models": models}
    thief.target("stop", "stop/stop.json", encode_canonical(document))


# --- one key alone -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["ops", "stop", "model-demo", "targets", "snapshot"])
def test_one_key_without_that_of_timestamp_changes_nothing(scene, key):
    """Has that key; signs what he likes in the place of what is pinned, and a new device reads it."""
    role = key.replace("model-", "m-")
    pinned = scene.thief().path(role)
    scene.forget()
    thief = scene.thief(key)
    if role == "m-demo":
        add_bundle(scene, thief, "9.9.9")
    else:
        thief.sign(role)
    thief.path(role).replace(pinned)

    assert "digest-mismatch" in scene.poll()
    assert {path for path in scene.acted_on() if "9.9.9" in path} == set()
    assert scene.recovers()


@pytest.mark.parametrize("key", ["ops", "stop", "model-demo", "targets", "snapshot"])
def test_one_key_and_a_timestamp_of_his_own_change_nothing(scene, key):
    """Has that key; signs all that leads to it with keys that he made."""
    role = key.replace("model-", "m-")
    thief = scene.thief(key)
    if role == "snapshot":
        thief.pin()
    else:
        thief.sign(role)
        thief.pin(role)

    assert scene.poll() == {"signature-invalid"}
    assert scene.changed() == set()
    assert scene.recovers()


def test_two_of_five_root_keys_change_nothing(scene):
    """Has two of the five; three have to sign. In his root all keys are his own."""
    mine = CryptoSigner.generate_ed25519()

    def take_over(root):
        for role in root.roles:
            for keyid in list(root.roles[role].keyids):
                root.revoke_key(keyid, role)
            root.add_key(mine.public_key, role)
            root.roles[role].threshold = 1

    keys = scene.past.publisher.keys
    scene.thief().sign("root", take_over, signers=[keys.signer("root-1"), keys.signer("root-2"), mine])

    assert scene.poll() == {"signature-invalid"}
    assert scene.changed() == set()
    assert scene.recovers()


def test_three_of_five_root_keys_are_what_it_takes(scene):
    """So that the one before is refused for the right reason."""
    scene.publish_root(lambda root: None, signers=(1, 2))
    assert scene.poll() == {"signature-invalid"}
    (scene.mirror / "metadata/2.root.json").unlink()
    scene.publish_root(lambda root: None, signers=(2, 4, 5))
    assert scene.poll() == set()


# --- the keys of a publisher's server ------------------------------------------------------------------------------


def test_thief_of_ops_signs_no_bundle(scene):
    """Has the keys of ops, timestamp and snapshot; rolls out a version that only he signed."""
    thief = scene.thief(*ONLINE, "ops")
    add_bundle(scene, thief, "9.9.9", role="ops")
    roll_out(thief, demo="9.9.9")
    thief.pin("ops")

    assert scene.poll() == {"file-missing"}
    assert scene.changed() == {"ops/rollout.json"}


def test_thief_of_ops_chooses_among_signed_versions(scene):
    """What the role is for, so it is what its thief can do: ``other`` has no floor. He gets nobody below one (test_rollback)."""
    thief = scene.thief(*ONLINE, "ops")
    roll_out(thief, demo="1.1.0", other="1.0.0")
    thief.pin("ops")

    assert scene.poll() == set()
    assert scene.changed() == {"ops/rollout.json"}


def test_thief_of_ops_lifts_no_stop(scene):
    """Has the same keys; signs a stop document."""
    thief = scene.thief(*ONLINE, "ops")
    document = {"schema": 1, "issued": ISSUED, "serial": 99, "models": {}}
    thief.target("ops", "stop/stop.json", encode_canonical(document))
    thief.pin("ops")

    assert scene.poll() == set()
    assert scene.changed() == set()


def test_thief_of_stop_stops_and_installs_nothing(scene):
    """Has the keys of stop, timestamp and snapshot; stops everything, and lists a bundle and a rollout."""
    thief = scene.thief(*ONLINE, "stop")
    set_stops(thief, 99, {name: {"reason": "he", "since": ISSUED} for name in ("demo", "other")})
    add_bundle(scene, thief, "9.9.9", role="stop")
    thief.target("stop", "ops/rollout.json", encode_canonical({"schema": 1, "issued": ISSUED, "models": {}}))
    thief.pin("stop")

    assert scene.poll() == set()
    assert scene.changed() == {"ops/stop.json"}
    assert json.loads(scene.acted_on()["ops/stop.json"])["models"].keys() == {"demo", "other"}


def test_thief_of_a_model_rolls_nothing_out(scene):
    """Has the keys of the model, timestamp and snapshot; signs a version, which nobody is told to run."""
    thief = scene.thief(*ONLINE, "model-demo")
    add_bundle(scene, thief, "9.9.9")
    roll_out(scene.thief("model-demo"), demo="9.9.9")
    thief.pin("m-demo")

    assert scene.poll() == set()
    assert scene.changed() == set()


def test_thief_of_a_model_touches_no_other(scene):
    """Has the keys of the model, ops, timestamp and snapshot; signs a version of another model."""
    thief = scene.thief(*ONLINE, "model-demo", "ops")
    add_bundle(scene, thief, "9.9.9", name="other", role="m-demo")
    roll_out(thief, demo="1.1.0", other="9.9.9")
    thief.pin("m-demo", "ops")

    assert scene.poll() == {"file-missing"}
    assert scene.changed() == {"ops/rollout.json"}


def test_thief_of_a_model_and_of_ops_replaces_that_model(scene):
    """The end of what signatures can do; kit, trial and rollback are what is left. A new key of the model, and a floor, end it."""
    thief = scene.thief(*ONLINE, "model-demo", "ops")
    add_bundle(scene, thief, "9.9.9")
    roll_out(thief, demo="9.9.9", other="1.1.0")
    thief.pin("m-demo", "ops")

    assert scene.poll() == set()
    assert {path.split("/")[1] for path in scene.changed() if path.startswith("bundles")} == {"demo"}


def test_thief_of_targets_is_ended_by_a_new_root(scene):
    """Has the keys of targets, timestamp and snapshot; gives the model to a key of his own. Three holders of the root take that away."""
    thief = scene.thief(*ONLINE, "targets")

    def give_to_himself(targets):
        key = thief.own.public_key
        targets.delegations.keys[key.keyid] = key
        paths = ["models/demo/*/manifest.json"]
        targets.delegations.roles["m-demo"] = DelegatedRole("m-demo", [key.keyid], 1, terminating=True, paths=paths)

    thief.sign("targets", give_to_himself)
    add_bundle(scene, thief, "9.9.9")
    thief.pin("targets", "m-demo")
    assert scene.poll() == set(), "signed, and not rolled out"
    assert scene.changed() == set()

    scene.show("third")
    publisher = scene.take_keys_away("targets", *ONLINE)
    publisher.sign("targets")
    publisher.pin("targets")
    assert scene.poll() == set()
    assert (scene.store / "bundles/demo/1.2.0").is_dir()
