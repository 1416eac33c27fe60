"""Fast-forward: a thief counts versions up so far that nothing the publisher signs is new any more; and the way back."""

import pytest

from tests.fakes.attack_scenes import ONLINE

FAR = 10**9


def count_up(signed):
    signed.version = FAR


@pytest.mark.parametrize("stolen", [("timestamp",), ONLINE, (*ONLINE, "ops")], ids=["timestamp", "snapshot", "ops"])
def test_versions_that_were_counted_up_go_away_with_the_keys(scene, stolen):
    """Has the keys of timestamp, or of all that a server has; the publisher needs new ones and three holders of the root."""
    thief = scene.thief(*stolen)
    if "ops" in stolen:
        thief.sign("ops", count_up)
        thief.pin("ops", snapshot=count_up)
    elif "snapshot" in stolen:
        thief.pin(snapshot=count_up)
    thief.point(count_up)
    assert scene.poll() == set(), "all of it is signed"
    assert scene.changed() == set()

    scene.show("third")
    assert scene.poll() == {"metadata-rollback"}, "what the publisher signs is old now"
    assert scene.changed() == set()

    publisher = scene.take_keys_away(*(ONLINE if "snapshot" in stolen else ("timestamp",)))
    publisher.pin()
    assert scene.poll() == set()
    assert (scene.store / "bundles/demo/1.2.0").is_dir()
