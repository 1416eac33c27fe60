import os
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edged.errors import NotPermittedError, UsageError
from edged.publish.keys import Keyring, root_keys


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
