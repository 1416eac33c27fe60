import os
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from securesystemslib.signer import SSlibKey

from edged.errors import NotPermittedError, UsageError
from edged.publish.keys.files import (
    check_passphrase,
    is_encrypted,
    open_private,
    read_private,
    read_public,
    write_private,
    write_public,
)


@pytest.fixture
def key():
    return Ed25519PrivateKey.generate()


@pytest.mark.parametrize("passphrase", [None, b"correct horse", b"\xff\x00\n", b"x" * 1023])
def test_private_key_comes_back_from_its_file(tmp_path, key, passphrase):
    path = tmp_path / "key.pem"
    write_private(path, key, passphrase)
    data = read_private(path)

    assert is_encrypted(data) == (passphrase is not None)
    assert open_private(data, path, passphrase).private_bytes_raw() == key.private_bytes_raw()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(("passphrase", "words"), [(b"", "protects nothing"), (b"x" * 1024, "more than 1023 bytes")])
def test_passphrase_that_cannot_protect_is_refused(tmp_path, key, passphrase, words):
    with pytest.raises(UsageError, match=words):
        write_private(tmp_path / "key.pem", key, passphrase)
    with pytest.raises(UsageError, match=words):
        check_passphrase(passphrase)

    assert list(tmp_path.iterdir()) == []


def test_key_of_absurd_size_is_not_read(tmp_path):
    path = tmp_path / "key.pem"
    path.touch(mode=0o600)
    os.truncate(path, 1 << 40)

    with pytest.raises(UsageError, match="has more than 16384 bytes"):
        read_private(path)


def test_place_that_cannot_keep_a_secret_gets_none(tmp_path, key, monkeypatch):
    """A FAT file system shows files as its mount options say, whatever mode they are given."""
    given = os.fchmod
    monkeypatch.setattr(os, "fchmod", lambda descriptor, _mode: given(descriptor, 0o755))

    with pytest.raises(NotPermittedError, match="cannot keep other users from reading a key") as caught:
        write_private(tmp_path / "key.pem", key, None)
    assert "umask=077" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_place_that_refuses_the_mode_is_a_sentence(tmp_path, key, monkeypatch):
    def refuse(_descriptor, _mode):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refuse)

    with pytest.raises(NotPermittedError, match="Operation not permitted"):
        write_private(tmp_path / "key.pem", key, None)
    assert list(tmp_path.iterdir()) == []


def test_public_key_is_what_tuf_names_by_its_id(tmp_path, key):
    write_public(tmp_path / "key.pub", key.public_key())

    assert read_public(tmp_path / "key.pub").keyid == SSlibKey.from_crypto(key.public_key()).keyid


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\xff" * 99]
)
def test_garbage_is_no_public_key(tmp_path, data):
    (tmp_path / "key.pub").write_bytes(data)

    with pytest.raises(UsageError, match="is not a public key in PEM"):
        read_public(tmp_path / "key.pub")


def test_other_kinds_of_keys_are_refused(tmp_path, key):
    other = generate_private_key(SECP256R1())
    (tmp_path / "ec.pub").write_bytes(other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "private.pub").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    with pytest.raises(UsageError, match="not an ed25519 key"):
        read_public(tmp_path / "ec.pub")
    with pytest.raises(UsageError, match="is a private key, a public one was asked for"):
        read_public(tmp_path / "private.pub")
    with pytest.raises(UsageError, match="there is no public key"):
        read_public(tmp_path / "nothing.pub")


@pytest.mark.skipif(not Path("/usr/bin/openssl").exists(), reason="needs openssl")
def test_openssl_reads_our_files(tmp_path, key):
    """Keys outlive tools: any that follows the standards can open them."""
    write_private(tmp_path / "key.pem", key, b"correct horse")
    write_public(tmp_path / "key.pub", key.public_key())
    command = ["openssl", "pkey", "-in", tmp_path / "key.pem", "-passin", "pass:correct horse", "-pubout"]

    assert subprocess.run(command, capture_output=True, check=True).stdout == (tmp_path / "key.pub").read_bytes()
