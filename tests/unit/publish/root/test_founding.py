import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edged.errors import DocumentError, SignatureInvalidError, TrustError, UsageError
from edged.publish.keys.directory import Keyring
from edged.publish.repository.operations import init_repository
from edged.publish.repository.state import read_state
from edged.publish.repository.tree import Tree
from edged.publish.root.founding import found_repository
from edged.publish.root.pending import PendingRoot, read_root_file, sign_root_file

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


@pytest.fixture
def repo(tmp_path):
    return tmp_path / "srv/models/repo"


@pytest.fixture
def keys(tmp_path):
    return Keyring(directory=tmp_path / "keys")


@pytest.fixture
def holders(tmp_path):
    """Three people, each with a key on a stick of their own."""
    rings = {name: Keyring(directory=tmp_path / name) for name in ("root-ada", "root-ben", "root-cy")}
    for name, ring in rings.items():
        ring.create(name)
    return rings


def public(holders):
    return [ring.public(name) for name, ring in holders.items()]


def sign(holders, name, pending, directory):
    """Sign a copy elsewhere and bring the signature back."""
    elsewhere = directory / f"at-{name}"
    elsewhere.mkdir()
    shutil.copy(pending.path(), elsewhere)
    signature = sign_root_file(elsewhere / pending.path().name, holders[name].signer(name))
    return Path(shutil.copy(signature, pending.directory))


def test_repository_appears_when_enough_holders_have_signed(repo, keys, holders, tmp_path):
    pending = PendingRoot.beside(repo)
    first = found_repository(repo, keys, public(holders), threshold=2, now=NOW)
    assert (first.missing, first.signed, first.path) == (2, (), pending.path())

    sign(holders, "root-ben", pending, tmp_path)
    second = found_repository(repo, keys, public(holders), threshold=2, now=NOW + timedelta(days=1))
    assert (second.missing, second.signed) == (1, (holders["root-ben"].public("root-ben").keyid,))
    assert not repo.exists()

    sign(holders, "root-cy", pending, tmp_path)
    third = found_repository(repo, keys, public(holders), threshold=2, now=NOW + timedelta(days=2))
    root = read_state(Tree(repo)).root
    assert (third.missing, third.path, third.is_changed) == (0, None, True)
    assert (root.roles["root"].threshold, len(root.roles["root"].keyids)) == (2, 3)
    assert not pending.directory.exists()
    assert not any(name.startswith("root-") for name in keys.names())
    assert not found_repository(repo, keys, public(holders), threshold=2, now=NOW).is_changed


def test_root_keys_that_are_here_sign_at_once(repo, keys, holders):
    here = [*public(holders), keys.create("root-here")]

    assert found_repository(repo, keys, here, threshold=1, now=NOW).path is None


def test_first_root_stays_as_it_was_when_its_signing_began(repo, keys, holders, tmp_path):
    """Signatures are for exactly those bytes, so a later run must not make others."""
    found_repository(repo, keys, public(holders), threshold=1, now=NOW)
    before = PendingRoot.beside(repo).path().read_bytes()
    found_repository(repo, keys, public(holders), threshold=1, now=NOW + timedelta(days=9))

    assert PendingRoot.beside(repo).path().read_bytes() == before


@pytest.mark.parametrize("change", ["keys", "threshold"])
def test_another_root_is_not_mixed_into_one_that_waits(repo, keys, holders, change):
    found_repository(repo, keys, public(holders), threshold=2, now=NOW)
    others = public(holders)[:2] if change == "keys" else public(holders)

    with pytest.raises(UsageError, match="a root of other keys that waits to be signed") as caught:
        found_repository(repo, keys, others, threshold=2 if change == "keys" else 3, now=NOW)
    assert "rm -r" in caught.value.hint


def test_senseless_root_keys_are_refused(repo, keys, holders):
    with pytest.raises(UsageError, match="4 of 3 root keys cannot sign"):
        found_repository(repo, keys, public(holders), threshold=4, now=NOW)
    with pytest.raises(UsageError, match="is there twice"):
        found_repository(repo, keys, [*public(holders), public(holders)[0]], threshold=2, now=NOW)
    with pytest.raises(UsageError, match="the keys lie in the repository"):
        found_repository(repo, Keyring(directory=repo / "keys"), public(holders), threshold=2, now=NOW)

    assert not repo.exists()
    assert not PendingRoot.beside(repo).directory.exists()


def test_signatures_that_are_not_good_are_named(repo, keys, holders, tmp_path):
    pending = PendingRoot.beside(repo)
    found_repository(repo, keys, public(holders), threshold=2, now=NOW)
    path = sign(holders, "root-ada", pending, tmp_path)
    good = json.loads(path.read_bytes())
    wrong = {
        "does not fit the key": good | {"sig": "00" * 64},
        "does not fit": good | {"sig": "not hexadecimal"},
        "made for another file": good | {"root_sha256": "0" * 64},
        "none of the root keys": good | {"keyid": "0" * 64},
    }
    for words, document in wrong.items():
        path.write_text(json.dumps(document))
        with pytest.raises(SignatureInvalidError, match=words) as caught:
            found_repository(repo, keys, public(holders), threshold=2, now=NOW)
        assert str(path) in caught.value.message
    for text in ("", "[]", "{}", json.dumps(good | {"more": 1}), json.dumps(good | {"schema": 2})):
        path.write_text(text)
        with pytest.raises(DocumentError, match=path.name):
            found_repository(repo, keys, public(holders), threshold=2, now=NOW)

    assert not repo.exists()


def test_signature_of_another_holder_cannot_be_counted_twice(repo, keys, holders, tmp_path):
    pending = PendingRoot.beside(repo)
    found_repository(repo, keys, public(holders), threshold=2, now=NOW)
    path = sign(holders, "root-ada", pending, tmp_path)
    shutil.copy(path, path.with_name("again.sig"))

    assert found_repository(repo, keys, public(holders), threshold=2, now=NOW).missing == 1


def test_root_that_was_altered_while_it_waited_is_not_published(repo, keys, holders, tmp_path):
    pending = PendingRoot.beside(repo)
    found_repository(repo, keys, public(holders), threshold=1, now=NOW)
    sign(holders, "root-ada", pending, tmp_path)
    pending.path().write_bytes(pending.path().read_bytes().replace(b"2027-", b"2037-"))
    with pytest.raises(SignatureInvalidError, match="made for another file"):
        found_repository(repo, keys, public(holders), threshold=1, now=NOW)

    pending.path().write_text("{}")
    with pytest.raises(TrustError, match="is not TUF metadata"):
        found_repository(repo, keys, public(holders), threshold=1, now=NOW)


def test_two_roots_that_wait_are_refused(repo, keys, holders):
    pending = PendingRoot.beside(repo)
    found_repository(repo, keys, public(holders), threshold=1, now=NOW)
    shutil.copy(pending.path(), pending.directory / "2.root.json")

    with pytest.raises(TrustError, match=r"more than one root: 1\.root\.json, 2\.root\.json"):
        found_repository(repo, keys, public(holders), threshold=1, now=NOW)


def test_key_that_a_root_does_not_name_signs_nothing(repo, keys, holders, tmp_path):
    found_repository(repo, keys, public(holders), threshold=1, now=NOW)
    path = PendingRoot.beside(repo).path()
    stranger = Keyring(directory=tmp_path / "stranger")
    stranger.create("root-eve")

    with pytest.raises(UsageError, match="is none of the root keys in version 1"):
        sign_root_file(path, stranger.signer("root-eve"))
    assert list(path.parent.glob("*.sig")) == []


def test_only_root_metadata_is_signed(repo, keys, holders, tmp_path):
    """A holder who is handed timestamp metadata must not sign it by mistake."""
    init_repository(repo, keys, now=NOW)
    with pytest.raises(TrustError, match="is not root metadata"):
        read_root_file(repo / "metadata/timestamp.json")
    with pytest.raises(UsageError, match="there is no file"):
        read_root_file(tmp_path / "nothing")
