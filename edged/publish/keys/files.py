"""Key files: a private key is PKCS#8 PEM that its owner alone may read, a public key is SubjectPublicKeyInfo PEM. Both are ed25519.

These are the forms that OpenSSL writes and reads (RFC 5958, RFC 8410). A private key may be encrypted with a passphrase.
"""

import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import SSlibKey

from edged.errors import NotPermittedError, UsageError
from edged.files import replace_durably

PUBLIC_SUFFIX: Final = ".pub"
MAX_KEY_BYTES: Final = 1 << 14
MAX_PASSPHRASE_BYTES: Final = 1023
"""What the cryptography library can encrypt with."""

_ENCRYPTED_HEADER: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_OTHERS_MAY: Final = 0o077


def read_private(path: Path) -> bytes:
    """Read the file of a private key.

    Raises:
        NotPermittedError: Users other than its owner may read it.
        UsageError: It is too large for a key.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        data = file.read(MAX_KEY_BYTES + 1)
    if mode & _OTHERS_MAY:
        raise NotPermittedError(f"the key {path} can be read by other users", hint=f"Run: chmod 600 {path}")
    if len(data) > MAX_KEY_BYTES:
        raise UsageError(f"the key {path} cannot be loaded: it has more than {MAX_KEY_BYTES} bytes")
    return data


def is_encrypted(data: bytes) -> bool:
    """Tell whether the file of a private key needs a passphrase."""
    return data.lstrip().startswith(_ENCRYPTED_HEADER)


def open_private(data: bytes, path: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    """Make a key of the bytes of its file.

    Args:
        data: What ``read_private`` returned.
        path: To be named in errors.
        passphrase: Opens an encrypted key; not looked at for one that is not encrypted.

    Raises:
        UsageError: It is not an ed25519 key, or the passphrase does not open it.
    """
    needs_passphrase = is_encrypted(data)
    try:
        # A passphrase for a key that is not encrypted is refused by the library, so it is passed only where it is needed.
        private = load_pem_private_key(data, password=passphrase if needs_passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        what = "the passphrase does not open it" if needs_passphrase else "it is not a PKCS#8 PEM file"
        raise UsageError(f"the key {path} cannot be loaded: {what}") from exc
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(f"the key {path} is not an ed25519 key", hint="edge-publish uses ed25519 only.")
    return private


def write_private(path: Path, private: Ed25519PrivateKey, passphrase: bytes | None) -> None:
    """Write a private key, durably and whole, encrypted when there is a passphrase.

    Raises:
        UsageError: The passphrase is empty, or longer than can be used.
        NotPermittedError: The file system cannot keep other users from reading it; nothing is left there.
        OSError: The disk refused.
    """
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        check_passphrase(passphrase)
        encryption = BestAvailableEncryption(passphrase)
    data = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        replace_durably(path, data, mode=0o600)
    except PermissionError as exc:
        raise NotPermittedError(f"cannot write {path}: {exc.strerror}", hint=_PLACE_HINT) from exc
    if path.stat().st_mode & _OTHERS_MAY:
        path.unlink()
        raise NotPermittedError(f"{path.parent} cannot keep other users from reading a key", hint=_PLACE_HINT)


_PLACE_HINT: Final = "Use a directory of your own; a FAT stick has to be mounted with umask=077."


def check_passphrase(passphrase: bytes) -> None:
    """Make sure that a passphrase can protect a key.

    Raises:
        UsageError: It is empty, or longer than can be used.
    """
    if not passphrase:
        raise UsageError("an empty passphrase protects nothing", hint="Type one; several words are best.")
    if len(passphrase) > MAX_PASSPHRASE_BYTES:
        raise UsageError(
            f"the passphrase has more than {MAX_PASSPHRASE_BYTES} bytes",
            hint="Use a shorter one; ten words are plenty.",
        )


def write_public(path: Path, public: Ed25519PublicKey) -> None:
    """Write a public key; anyone may read it.

    Raises:
        OSError: The disk refused.
    """
    replace_durably(path, dump_public(public))


def dump_public(public: Ed25519PublicKey) -> bytes:
    """Return the bytes of a public key's file."""
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public(path: Path) -> SSlibKey:
    """Read a public key; its ID is the one TUF metadata names it by.

    Raises:
        UsageError: There is no such file, or it is not an ed25519 public key.
        OSError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_BYTES)
    except (FileNotFoundError, NotADirectoryError) as exc:
        hint = "The holder of the key writes it: edge-publish keys export-public NAME --keys DIR."
        raise UsageError(f"there is no public key {path}", hint=hint) from exc
    return parse_public(data, str(path))


def parse_public(data: bytes, source: str) -> SSlibKey:
    """Make a public key of the bytes of its file.

    Args:
        data: PEM.
        source: To be named in errors.

    Raises:
        UsageError: It is not an ed25519 public key.
    """
    if b"PRIVATE KEY-----" in data:
        hint = "Private keys stay with their holders: edge-publish keys export-public NAME writes what to hand over."
        raise UsageError(f"{source} is a private key, a public one was asked for", hint=hint)
    try:
        public = load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise UsageError(f"{source} is not a public key in PEM", hint="Have it exported again.") from exc
    if not isinstance(public, Ed25519PublicKey):
        raise UsageError(f"the key {source} is not an ed25519 key", hint="edge-publish uses ed25519 only.")
    return SSlibKey.from_crypto(public)
