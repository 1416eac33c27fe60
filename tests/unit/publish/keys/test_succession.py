import pytest

from edged.errors import UsageError
from edged.publish.keys.directory import Keyring
from edged.publish.keys.succession import Succession


@pytest.fixture
def ring(tmp_path):
    made = Keyring(directory=tmp_path / "keys")
    for name in ("ops", "timestamp"):
        made.create(name)
    return made


def files(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_new_key_signs_from_when_it_is_made_and_others_stay(ring):
    it = Succession(keyring=ring, replaced=["ops"])
    assert it.signer("ops").public_key.keyid == ring.public("ops").keyid

    new = it.ensure_next("ops")

    assert it.waits("ops")
    assert it.ensure_next("ops") == new == it.ensure("ops")
    assert it.signer("ops").public_key == new != ring.public("ops")
    assert it.signer("timestamp").public_key == ring.public("timestamp")
    assert it.place("ops").endswith("keys/next/ops.pem")
    assert Succession(keyring=ring, replaced=["timestamp"]).signer("ops").public_key == ring.public("ops")


def test_new_key_gets_the_place_of_the_old_one_which_is_kept(ring):
    it = Succession(keyring=ring, replaced=["ops"])
    old, new = ring.public("ops"), it.ensure_next("ops")
    private = ring.path("ops").read_bytes()

    (moved,) = it.take_over()

    assert ring.signer("ops").public_key == ring.public("ops") == new
    assert moved.read_bytes() == private
    assert files(ring.directory) == [
        "ops.pem",
        "ops.pub",
        f"replaced/ops-{old.keyid[:16]}.pem",
        f"replaced/ops-{old.keyid[:16]}.pub",
        "timestamp.pem",
        "timestamp.pub",
    ]
    assert not (ring.directory / "next").exists()
    assert it.take_over() == []


def test_lost_key_is_replaced_as_well(ring):
    ring.path("ops").unlink()
    it = Succession(keyring=ring, replaced=["ops"])
    new = it.ensure_next("ops")

    assert it.take_over() == []

    assert ring.public("ops") == new


@pytest.mark.parametrize("done", [1, 2, 3])
def test_take_over_that_was_interrupted_is_finished(ring, done):
    """The files are moved in this order: the old private key, its public part, the new private key, its public part."""
    it = Succession(keyring=ring, replaced=["ops"])
    old, new = ring.public("ops").keyid[:16], it.ensure_next("ops")
    following, attic = ring.directory / "next", ring.directory / "replaced"
    attic.mkdir()
    moves = [
        (ring.path("ops"), attic / f"ops-{old}.pem"),
        (ring.public_path("ops"), attic / f"ops-{old}.pub"),
        (following / "ops.pem", ring.path("ops")),
    ]
    for source, target in moves[:done]:
        source.rename(target)

    it.take_over()

    assert ring.signer("ops").public_key == new
    assert not following.exists()
    assert {path for path in files(attic) if path.startswith("ops")} == {f"ops-{old}.pem", f"ops-{old}.pub"}


def test_new_key_is_protected_as_its_neighbours_are(tmp_path):
    ring = Keyring(directory=tmp_path / "keys", passphrase=b"secret")
    ring.create("ops")
    Succession(keyring=ring, replaced=["ops"]).ensure_next("ops")
    assert Keyring(directory=tmp_path / "keys/next").is_encrypted("ops")

    with pytest.raises(UsageError, match="needs a passphrase"):
        Succession(keyring=Keyring(directory=tmp_path / "keys"), replaced=["stop"]).ensure_next("stop")
