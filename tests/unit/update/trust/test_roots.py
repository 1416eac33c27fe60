"""Which roots a device follows (TUF specification 1.0.34, 5.3)."""

import json
from datetime import timedelta

import pytest
from securesystemslib.signer import CryptoSigner

from edged.errors import MetadataExpiredError, MetadataRollbackError, SignatureInvalidError, TrustError
from tests.fakes.trust_worlds import NOW


@pytest.mark.parametrize(
    "spoil",
    [
        lambda root: root[:-1],
        lambda root: root.replace(b'"version":1', b'"version":2'),
        lambda root: root.replace(b'"threshold":3', b'"threshold":6'),
        lambda root: b"{}",
        lambda root: b"",
    ],
    ids=["torn", "of another version", "with a higher threshold", "an empty document", "empty"],
)
def test_root_that_a_device_is_given_has_to_be_whole(world, spoil):
    """Nothing is fetched with one that is not."""
    world.root = spoil(world.root)

    with pytest.raises(TrustError, match="the root metadata of this device") as caught:
        world.refresh()

    assert "repository.root" in caught.value.hint
    assert world.origin.asked == []


def test_many_new_roots_are_followed_in_one_refresh(world):
    for _ in range(12):
        world.rotate()

    world.refresh()

    assert world.version("root") == 13


def test_all_root_keys_can_be_replaced_when_old_and_new_ones_sign(world):
    new = [CryptoSigner.generate_ed25519() for _ in range(3)]

    def replace(root):
        for keyid in list(root.roles["root"].keyids):
            root.revoke_key(keyid, "root")
        for signer in new:
            root.add_key(signer.public_key, "root")

    world.rotate(replace, signers=[1, 3, 5, *new])
    world.rotate(signers=new)

    world.refresh()

    assert world.version("root") == 3


def set_threshold(number):
    return lambda root: setattr(root.roles["root"], "threshold", number)


STRANGERS = [CryptoSigner.generate_ed25519() for _ in range(3)]


@pytest.mark.parametrize(
    ("change", "signers"),
    [
        (None, [1, 2]),
        (None, [1, 2, STRANGERS[0]]),
        (None, STRANGERS),
        (None, []),
        (set_threshold(4), [1, 2, 3]),
        (set_threshold(2), [1, 2]),
    ],
    ids=[
        "two of five",
        "two and a stranger",
        "strangers",
        "nobody",
        "too few for the new root",
        "too few for the old one",
    ],
)
def test_root_that_too_few_have_signed_is_refused(world, change, signers):
    world.rotate(change or (lambda root: None), signers=signers)

    with pytest.raises(SignatureInvalidError):
        world.refresh()

    assert world.version("root") == 1


@pytest.mark.parametrize(("threshold", "signers"), [(4, [1, 2, 3, 5]), (2, [3, 4, 5])])
def test_threshold_of_root_can_change(world, threshold, signers):
    world.rotate(set_threshold(threshold), signers=signers)

    world.refresh()

    assert world.version("root") == 2


def test_one_root_key_counts_once(world):
    """Its signature three times, under one key ID or under several."""
    world.rotate(signers=[1])
    path = world.tree / "metadata/2.root.json"
    document = json.loads(path.read_bytes())
    (signature,) = document["signatures"]
    others = [key for key in document["signed"]["roles"]["root"]["keyids"] if key != signature["keyid"]]
    for copies in ([signature] * 3, [signature, *({**signature, "keyid": key} for key in others)]):
        path.write_text(json.dumps({**document, "signatures": copies}))
        with pytest.raises(TrustError):
            world.refresh()
        assert world.version("root") == 1


def test_expired_root_is_followed_to_one_that_is_not(world):
    world.rotate(lambda root: setattr(root, "expires", NOW - timedelta(days=1)))
    with pytest.raises(MetadataExpiredError):
        world.refresh()
    world.rotate(lambda root: setattr(root, "expires", NOW + timedelta(days=1)))

    world.refresh()

    assert world.version("root") == 3


@pytest.mark.parametrize("version", [1, 3])
def test_root_of_another_version_than_its_name_says_is_refused(world, version):
    world.rotate(lambda root: setattr(root, "version", version))
    (world.tree / f"metadata/{version}.root.json").rename(world.tree / "metadata/2.root.json")

    with pytest.raises(MetadataRollbackError):
        world.refresh()


@pytest.mark.parametrize("lost", [None, "root.json"])
def test_roots_that_were_followed_are_remembered_when_the_host_withholds_them(world, lost):
    """Otherwise a host could pass off what was signed with a key that a newer root took away."""
    restore = world.copy()
    world.replace_key("timestamp")
    world.forger.point()
    world.refresh()
    if lost:
        (world.kept / lost).unlink()
    restore()  # no second root, and a timestamp that is signed with the old key

    with pytest.raises(SignatureInvalidError):
        world.refresh()


def test_device_that_is_given_a_newer_root_to_trust_keeps_what_it_followed(world):
    """As when a package brings a newer root: the way from there to the newest one is known already."""
    for _ in range(3):
        world.rotate()
    world.refresh()
    world.root = (world.tree / "metadata/2.root.json").read_bytes()
    world.origin.withheld = {f"metadata/{version}.root.json" for version in (3, 4)}

    world.refresh()

    assert world.version("root") == 4
