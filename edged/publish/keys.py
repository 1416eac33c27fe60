"""The publisher's ed25519 keys: one PKCS#8 PEM file a key, in one directory, readable by its owner alone.

Names of keys: ``root-1`` to ``root-N``, ``targets``, ``snapshot``, ``timestamp``, ``ops``, ``stop`` and ``model-<model>``. A key file is
written once and never replaced; keys that belong offline (root, targets) are files that can be moved away and brought back.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner, SSlibKey

from edged.errors import NotPermittedError, UsageError
from edged.files import replace_durably, sync_directory

PASSPHRASE_VARIABLE: Final = "EDGE_PUBLISH_PASSPHRASE"  # noqa: S105 - the name of a variable, not its value
_NAME = re.compile(r"root-[1-9][0-9]*|targets|snapshot|timestamp|ops|stop|model-[a-z0-9][a-z0-9._-]{0,62}")
_ENCRYPTED_HEADER: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_OTHERS_MAY = 0o077


def root_keys(count: int) -> list[str]:
    """Return the names of the root keys."""
    return [f"root-{number}" for number in range(1, count + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """A directory of keys.

    Args:
        directory: Holds ``<name>.pem``; made with mode 0700 when the first key is.
        passphrase: Encrypts new keys and opens encrypted ones; None leaves new keys unencrypted.
    """

    directory: Path
    passphrase: bytes | None = field(default=None, repr=False)

    def path(self, name: str) -> Path:
        """Return where a key lies, whether it is there or not."""
        return self.directory / f"{name}.pem"

    def names(self) -> list[str]:
        """Return the names of all keys in the directory, sorted; other files are not looked at."""
        return sorted(path.stem for path in self.directory.glob("*.pem") if _NAME.fullmatch(path.stem))

    def has(self, name: str) -> bool:
        """Tell whether a key is here."""
        return self.path(name).is_file()

    def is_encrypted(self, name: str) -> bool:
        """Tell whether a key needs the passphrase.

        Raises:
            UsageError: There is no such key.
            NotPermittedError: Users other than its owner may read it.
        """
        return self._read(name).lstrip().startswith(_ENCRYPTED_HEADER)

    def create(self, name: str) -> SSlibKey:
        """Make a key that is not there yet and return its public part.

        Raises:
            UsageError: A key of that name exists; keys are never overwritten.
        """
        if self.path(name).exists():
            raise UsageError(
                f"{self.path(name)} exists already", hint="Keys are never overwritten; use another directory."
            )
        encryption: KeySerializationEncryption = NoEncryption()
        if self.passphrase:
            encryption = BestAvailableEncryption(self.passphrase)
        private = Ed25519PrivateKey.generate()
        if not self.directory.is_dir():
            self.directory.mkdir(mode=0o700, parents=True)
            sync_directory(self.directory.parent)
        replace_durably(
            self.path(name), private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), mode=0o600
        )
        return SSlibKey.from_crypto(private.public_key())

    def ensure(self, name: str) -> SSlibKey:
        """Return the public part of a key, making the key when it is not there."""
        return self.public(name) if self.has(name) else self.create(name)

    def public(self, name: str) -> SSlibKey:
        """Return the public part of a key, with its TUF key ID.

        Raises:
            UsageError: As ``signer``.
            NotPermittedError: As ``signer``.
        """
        return SSlibKey.from_crypto(self._load(name).public_key())

    def signer(self, name: str) -> CryptoSigner:
        """Open a key for signing.

        Raises:
            UsageError: There is no such key, it is not an ed25519 key, or the passphrase does not open it.
            NotPermittedError: Users other than its owner may read it.
        """
        return CryptoSigner(self._load(name))

    def _load(self, name: str) -> Ed25519PrivateKey:
        data = self._read(name)
        is_encrypted = data.lstrip().startswith(_ENCRYPTED_HEADER)
        if is_encrypted and self.passphrase is None:
            raise UsageError(
                f"the key {self.path(name)} is encrypted and no passphrase was given",
                hint=f"Set {PASSPHRASE_VARIABLE}.",
                key=name,
            )
        try:
            # A passphrase for a key that is not encrypted is refused by the library, so it is passed only where it is needed.
            private = load_pem_private_key(data, password=self.passphrase if is_encrypted else None)
        except (ValueError, TypeError) as exc:
            what = "the passphrase does not open it" if is_encrypted else "it is not a PKCS#8 PEM file"
            raise UsageError(f"the key {self.path(name)} cannot be loaded: {what}", key=name) from exc
        if not isinstance(private, Ed25519PrivateKey):
            raise UsageError(
                f"the key {self.path(name)} is not an ed25519 key", hint="edge-publish uses ed25519 only.", key=name
            )
        return private

    def _read(self, name: str) -> bytes:
        path = self.path(name)
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read()
        except FileNotFoundError as exc:
            hint = f"Bring {path.name} back from where it is kept, or name another directory with --keys."
            raise UsageError(f"there is no key {name!r} in {self.directory}", hint=hint, key=name) from exc
        if mode & _OTHERS_MAY:
            raise NotPermittedError(
                f"the key {path} can be read by other users", hint=f"Run: chmod 600 {path}", key=name
            )
        return data
