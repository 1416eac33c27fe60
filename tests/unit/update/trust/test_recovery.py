"""What a thief counted up is forgotten when his key is taken away, and only then (TUF specification 1.0.34, 5.3.11)."""

from errno import EIO

import pytest
from securesystemslib.signer import CryptoSigner

from edged.errors import MetadataRollbackError, StoreError
from edged.update.trust import kept_metadata
from tests.fakes.trust_worlds import DOCUMENT

FAR = 10**6


def count_up(world):
    """What a thief of both keys can do: versions that nobody can exceed for years."""
    world.forger.sign("snapshot", lambda snapshot: setattr(snapshot, "version", FAR))
    world.forger.point(lambda timestamp: setattr(timestamp, "version", FAR))
    world.refresh()
    assert (world.version("timestamp"), world.version("snapshot")) == (FAR, FAR)


def come_back(world):
    """The publisher goes on where he was before the thief came."""
    (world.tree / f"metadata/{FAR}.snapshot.json").unlink()
    world.forger.sign("snapshot")
    world.forger.point(lambda timestamp: setattr(timestamp, "version", 5))


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_versions_that_a_thief_counted_up_are_forgotten_when_his_key_is_taken_away(world, role):
    count_up(world)
    world.replace_key(role)
    come_back(world)

    world.refresh()

    assert (world.version("timestamp"), world.version("snapshot")) == (5, 2)


def test_versions_are_forgotten_also_when_the_new_root_comes_with_a_package(world):
    count_up(world)
    world.replace_key("snapshot")
    come_back(world)
    world.root = (world.tree / "metadata/2.root.json").read_bytes()

    world.refresh()

    assert (world.version("timestamp"), world.version("snapshot")) == (5, 2)


def test_versions_are_not_forgotten_while_the_keys_stay(world):
    """A new root, or one more key, is no reason to let an older state in."""
    count_up(world)
    world.rotate()
    world.rotate(lambda root: root.add_key(CryptoSigner.generate_ed25519().public_key, "timestamp"))
    come_back(world)

    with pytest.raises(MetadataRollbackError):
        world.refresh()

    assert world.version("root") == 3


def test_versions_of_targets_that_a_thief_counted_up_are_forgotten_with_the_snapshot(world):
    world.forger.sign("ops", lambda ops: setattr(ops, "version", FAR))
    world.forger.pin("ops")
    world.refresh()
    (world.tree / f"metadata/{FAR}.ops.json").unlink()
    world.forger.target("ops", DOCUMENT, b"{}")
    world.forger.pin("ops")
    with pytest.raises(MetadataRollbackError):
        world.refresh()

    world.replace_key("snapshot")
    world.forger.pin("ops")

    assert world.refresh().read_target(DOCUMENT, max_bytes=10).data == b"{}"


def test_versions_are_forgotten_before_the_root_that_says_so_is_kept(world, monkeypatch):
    """The other way round, a power cut between the two would leave them for ever: nothing tells any more that there was another root."""
    count_up(world)
    world.replace_key("snapshot")
    come_back(world)

    def refuse(path, data):
        raise OSError(EIO, "the power is cut")

    with monkeypatch.context() as cut:
        cut.setattr(kept_metadata, "replace_durably", refuse)
        with pytest.raises(StoreError):
            world.refresh()
    assert world.version("root") == 1

    world.refresh()

    assert (world.version("timestamp"), world.version("snapshot")) == (5, 2)
