"""Fast-forward: a thief counts versions up so far that nothing the publisher signs is new any more; and the way back."""

import shutil

import pytest

from edged.publish.main import main
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


@pytest.mark.parametrize("stolen", [("timestamp",), ONLINE], ids=["timestamp", "snapshot"])
def test_publisher_takes_the_keys_away_with_one_command(scene, tmp_path, stolen, monkeypatch):
    """Has the keys; counts up to the highest number of 31 bits. The publisher has his own repository, and all keys."""
    monkeypatch.delenv("EDGE_PUBLISH_PASSPHRASE", raising=False)

    def to_the_end(signed):
        signed.version = 2**31 - 1

    thief = scene.thief(*stolen)
    if "snapshot" in stolen:
        thief.pin(snapshot=to_the_end)
    thief.point(to_the_end)
    assert scene.poll() == set(), "all of it is signed"
    repo, keys = tmp_path / "repo", tmp_path / "keys"
    shutil.copytree(scene.past.trees / "third", repo)
    shutil.copytree(scene.past.publisher.keys.directory, keys)
    scene.web.root = repo
    assert scene.poll() == {"metadata-rollback"}, "what the publisher signs is old now"

    assert main(["keys", "replace", str(repo), *stolen, "--keys", str(keys)]) == 0

    assert scene.poll() == set()
    assert (scene.store / "bundles/demo/1.2.0").is_dir()
    scene.thief(*stolen).point(to_the_end)
    assert scene.poll() == {"signature-invalid"}, "what the thief signs is nothing any more"
