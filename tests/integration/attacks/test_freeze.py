"""Freeze, and mix-and-match: the device is kept where it is, or shown parts of two states that never were one."""

import pytest

from edged.codec import encode_canonical
from tests.fakes.attack_scenes import ONLINE
from tests.fakes.static_host import Fault


def test_frozen_mirror_is_noticed_when_the_timestamp_expires(scene):
    """Has no key; goes on showing what was true once. The timestamp holds for a day."""
    assert scene.poll(days_later=0.9) == set()
    assert scene.poll(days_later=1.1) == {"metadata-expired"}
    assert scene.changed() == set()


def test_thief_of_the_timestamp_freezes_no_longer_than_the_snapshot_holds(scene):
    """Has the key of timestamp; makes it last for ever. The snapshot holds for a week."""
    scene.thief("timestamp").sign("timestamp", lambda t: setattr(t, "expires", t.expires.replace(year=2999)))

    assert scene.poll(days_later=6.9) == set()
    assert scene.poll(days_later=7.1) == {"metadata-expired"}
    assert scene.changed() == set()


@pytest.mark.parametrize("role", ["snapshot", "m-demo", "ops"])
def test_files_of_two_states_do_not_go_together(scene, role):
    """Has no key; shows what is new, and one role in it as it was before."""
    scene.show("third")
    path = scene.thief().path(role)
    scene.web.faults[str(path.relative_to(scene.mirror))] = Fault(body=scene.file("second", role))

    assert scene.poll() == {"digest-mismatch"}
    assert {path for path in scene.changed() if path.startswith("bundles")} == set()
    assert scene.recovers()


def test_new_timestamp_over_an_old_rest_is_refused(scene):
    """Has no key; shows the newest timestamp, and nothing that it names."""
    (scene.mirror / "metadata/timestamp.json").write_bytes(scene.file("third", "timestamp"))

    assert scene.poll() == {"file-missing"}
    assert scene.changed() == set()
    assert scene.recovers()


def older_stop(scene):
    first = scene.past.trees / "first"
    return next((first / "targets/stop").iterdir()).read_bytes()


def test_older_stop_document_lifts_nothing(scene):
    """Has no key; puts the document from before the stop in the place of the one that stops."""
    scene.forget()
    now = next(path for path in (scene.mirror / "targets/stop").iterdir() if path.read_bytes() != older_stop(scene))
    now.write_bytes(older_stop(scene))

    assert "digest-mismatch" in scene.poll()
    assert "ops/stop.json" not in scene.acted_on()


def test_older_stop_document_that_is_signed_again_lifts_nothing(scene):
    """Has the keys of stop, timestamp and snapshot; signs the document from before the stop as if it were new."""
    thief = scene.thief(*ONLINE, "stop")
    thief.target("stop", "stop/stop.json", older_stop(scene))
    thief.pin("stop")

    assert scene.poll() == {"metadata-rollback"}
    assert scene.changed() == set()


def test_stop_document_that_is_left_out_lifts_nothing(scene):
    """Has the same keys; lists no document at all."""
    thief = scene.thief(*ONLINE, "stop")
    thief.sign("stop", lambda stop: stop.targets.clear())
    thief.pin("stop")

    assert scene.poll() == set()
    assert scene.changed() == set()


def test_stop_document_that_is_damaged_lifts_nothing(scene):
    """Has the same keys; signs something that no device can read."""
    thief = scene.thief(*ONLINE, "stop")
    thief.target("stop", "stop/stop.json", encode_canonical({"schema": 99}))
    thief.pin("stop")

    assert scene.poll() == {"document-invalid"}
    assert scene.changed() == set()
