import os
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edged.errors import NotPermittedError, UsageError
from edged.publish.keys.directory import Keyring, root_keys
from edged.publish.keys.files import read_public


@pytest.fixture
def keyring(tmp_path):
    return Keyring(directory=tmp_path / "keys")


def test_keys_are_readable_by_their_owner_alone(keyring):
    before = os.umask(0)
    try:
        keyring.create("ops")
    finally:
        os.umask(before)

    assert stat.S_IMODE(keyring.path("ops").stat().st_mode) == 0o600
    assert stat.S_IMODE(keyring.directory.stat().st_mode) == 0o700


def test_a_key_signs_as_the_public_part_says(keyring):
    public = keyring.create("ops")
    signature = keyring.signer("ops").sign(b"bytes")

    public.verify_signature(signature, b"bytes")
    assert keyring.public("ops").keyid == public.keyid
    assert public.keytype == "ed25519"


def test_keys_are_never_overwritten(keyring):
    keyid = keyring.create("ops").keyid
    with pytest.raises(UsageError, match="exists already"):
        keyring.create("ops")

    assert keyring.ensure("ops").keyid == keyid


def test_names_leave_out_what_is_not_a_key_of_ours(keyring):
    for name in ("ops", "model-magika", *root_keys(2)):
        keyring.create(name)
    (keyring.directory / "notes.pem").write_text("x")
    (keyring.directory / "notes.txt").write_text("x")

    assert keyring.names() == ["model-magika", "ops", "root-1", "root-2"]


def test_names_of_a_directory_that_is_not_there(keyring):
    assert keyring.names() == []


def test_encrypted_key_opens_with_its_passphrase_only(tmp_path):
    Keyring(directory=tmp_path, passphrase=b"correct horse").create("ops")

    assert Keyring(directory=tmp_path, passphrase=b"correct horse").signer("ops")
    assert Keyring(directory=tmp_path).is_encrypted("ops")
    with pytest.raises(UsageError, match="passphrase does not open it"):
        Keyring(directory=tmp_path, passphrase=b"battery staple").signer("ops")
    with pytest.raises(UsageError, match="no passphrase was given") as caught:
        Keyring(directory=tmp_path).signer("ops")
    assert "EDGE_PUBLISH_PASSPHRASE" in caught.value.hint


def test_passphrase_does_not_disturb_keys_without_one(tmp_path):
    Keyring(directory=tmp_path).create("ops")

    assert Keyring(directory=tmp_path, passphrase=b"x").signer("ops")


def test_passphrase_is_not_printed():
    assert "secret" not in repr(Keyring(directory=".", passphrase=b"secret"))


def test_missing_key_says_what_to_do(keyring):
    with pytest.raises(UsageError, match="there is no key 'targets'") as caught:
        keyring.signer("targets")

    assert "targets.pem" in caught.value.hint


def test_key_that_others_may_read_is_refused(keyring):
    keyring.create("ops")
    keyring.path("ops").chmod(0o640)

    with pytest.raises(NotPermittedError, match="read by other users") as caught:
        keyring.signer("ops")
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff" * 100]
)
def test_garbage_is_no_key(keyring, data):
    keyring.create("ops")
    keyring.path("ops").write_bytes(data)

    with pytest.raises(UsageError, match="cannot be loaded"):
        keyring.signer("ops")


def test_key_of_another_kind_is_refused(keyring):
    keyring.create("ops")
    other = generate_private_key(SECP256R1())
    keyring.path("ops").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    with pytest.raises(UsageError, match="not an ed25519 key"):
        keyring.signer("ops")


class Forgetful:
    """Somebody who is asked for passphrases and gives them in this order."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def known(self, key):
        self.asked.append(f"known {key}")
        return self.answers.pop(0)

    def new(self, key):
        self.asked.append(f"new {key}")
        return self.answers.pop(0)


def test_public_part_lies_beside_the_key(keyring):
    public = keyring.create("ops")
    keyring.path("ops").unlink()

    assert keyring.public("ops").keyid == public.keyid
    assert (keyring.names(), keyring.public_names()) == ([], ["ops"])
    assert not keyring.has("ops")


def test_key_that_is_elsewhere_is_not_made_again(keyring):
    """Its public part says that it exists; another one of the same name would be trusted by nobody."""
    keyring.create("targets")
    keyring.path("targets").unlink()

    with pytest.raises(UsageError, match="there is a key 'targets' elsewhere") as caught:
        keyring.ensure("targets")
    assert "Bring targets.pem back" in caught.value.hint


def test_public_part_of_another_key_is_noticed_before_signing(keyring):
    keyring.create("ops")
    keyring.create("stop")
    keyring.public_path("ops").write_bytes(keyring.public_path("stop").read_bytes())

    with pytest.raises(UsageError, match=r"ops\.pub is not the public part of"):
        keyring.signer("ops")


def test_making_a_key_that_was_interrupted_is_finished(keyring):
    """The process was killed before the public part was in place, and left it, and the next private key, half written."""
    keyid = keyring.create("ops").keyid
    keyring.public_path("ops").unlink()
    for name in (".ops.pem.new", ".ops.pub.new"):
        (keyring.directory / name).write_text("half")

    assert keyring.ensure("ops").keyid == keyid
    assert sorted(p.name for p in keyring.directory.iterdir()) == ["ops.pem", "ops.pub"]


@pytest.mark.parametrize(
    "name", ["boss", "root", "root-", "../ops", "model-", "model-A", "ops.pem", "root-a/b", "", "ops\n"]
)
def test_names_that_nothing_would_look_for_are_refused(keyring, name):
    with pytest.raises(UsageError, match="is not the name of a key"):
        keyring.add(name, None)

    assert not keyring.directory.exists()


def test_mistyped_passphrase_may_be_typed_again(tmp_path):
    Keyring(directory=tmp_path, passphrase=b"right").create("ops")
    patient = Forgetful(b"wrong", b"worse", b"right")
    assert Keyring(directory=tmp_path, asker=patient).signer("ops")
    assert patient.asked == ["known ops"] * 3

    with pytest.raises(UsageError, match="the passphrase does not open it"):
        Keyring(directory=tmp_path, asker=Forgetful(b"wrong", b"worse", b"worst")).signer("ops")


def test_keys_with_one_passphrase_ask_for_it_once(tmp_path):
    writer = Keyring(directory=tmp_path, passphrase=b"shared")
    writer.create("ops")
    writer.create("snapshot")
    writer.add("targets", b"other")
    asker = Forgetful(b"shared", b"other")
    keyring = Keyring(directory=tmp_path, asker=asker)
    for name in ("ops", "snapshot", "targets", "ops", "targets"):
        assert keyring.signer(name)

    assert asker.asked == ["known ops", "known targets"]


def test_nobody_is_asked_for_the_passphrase_of_a_key_that_is_only_looked_at(tmp_path):
    keyid = Keyring(directory=tmp_path, passphrase=b"secret").create("ops").keyid

    assert Keyring(directory=tmp_path).public("ops").keyid == keyid


def test_new_key_is_protected_as_its_neighbours_are(tmp_path):
    plain = Keyring(directory=tmp_path / "plain")
    plain.create("ops")
    plain.create("model-a")
    assert not plain.is_encrypted("model-a")

    Keyring(directory=tmp_path / "closed", passphrase=b"secret").create("ops")
    with pytest.raises(UsageError, match="needs a passphrase, as the other keys have one"):
        Keyring(directory=tmp_path / "closed").ensure("model-a")
    asker = Forgetful(b"fresh")
    keyring = Keyring(directory=tmp_path / "closed", asker=asker)
    keyring.ensure("model-a")
    # It was just typed twice, so it is not asked for again.
    assert keyring.signer("model-a")
    assert asker.asked == ["new model-a"]


def test_passphrase_is_changed_and_the_key_is_not(tmp_path):
    old = Keyring(directory=tmp_path, passphrase=b"old")
    keyid = old.create("ops").keyid
    old.change_passphrase("ops", b"new")
    with pytest.raises(UsageError, match="does not open it"):
        Keyring(directory=tmp_path, passphrase=b"old").signer("ops")

    new = Keyring(directory=tmp_path, passphrase=b"new")
    assert new.signer("ops").public_key.keyid == keyid
    new.change_passphrase("ops", None)
    assert not new.is_encrypted("ops")
    assert stat.S_IMODE(new.path("ops").stat().st_mode) == 0o600


def test_exported_public_part_is_that_of_the_private_key(keyring, tmp_path):
    public = keyring.create("root-ada")
    keyring.create("root-ben")
    # Whatever lies beside it: what is handed over is made from the key itself.
    keyring.public_path("root-ada").write_bytes(keyring.public_path("root-ben").read_bytes())
    target = tmp_path / "ada.pub"

    assert keyring.export_public("root-ada", target).keyid == public.keyid == read_public(target).keyid
    assert keyring.export_public("root-ada", target).keyid == public.keyid
    with pytest.raises(UsageError, match="exists and is another key"):
        keyring.export_public("root-ben", target)
    assert "PRIVATE" not in target.read_text()
