"""The publisher's keys in one directory: ``NAME.pem`` for each private key and ``NAME.pub`` beside it for its public part.

Names of keys: ``root-...``, ``targets``, ``snapshot``, ``timestamp``, ``ops``, ``stop`` and ``model-<model>``. A private key is written
once and never replaced by another; keys that belong offline (root, targets) are files that can be moved away and brought back. The public
parts stay, so that nobody is asked for a passphrase to look at a key.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, SSlibKey

from edged.errors import UsageError
from edged.files import sync_directory
from edged.publish.keys.files import (
    PUBLIC_SUFFIX,
    is_encrypted,
    open_private,
    read_private,
    read_public,
    write_private,
    write_public,
)

PASSPHRASE_VARIABLE: Final = "EDGE_PUBLISH_PASSPHRASE"  # noqa: S105 - the name of a variable, not its value
ATTEMPTS: Final = 3
"""How often somebody may mistype a passphrase."""

_LABEL: Final = "[a-z0-9][a-z0-9._-]{0,62}"
_NAME: Final = re.compile(rf"root-{_LABEL}|targets|snapshot|timestamp|ops|stop|model-{_LABEL}")


class Asker(Protocol):
    """Somebody who can be asked for passphrases."""

    def known(self, key: str) -> bytes:
        """Ask for the passphrase that opens a key."""

    def new(self, key: str) -> bytes:
        """Ask for a new passphrase of a key, in a way that finds typing mistakes."""


def root_keys(count: int) -> list[str]:
    """Return the names of the root keys that a repository's own directory of keys holds."""
    return [f"root-{number}" for number in range(1, count + 1)]


def check_name(name: str) -> None:
    """Make sure that a name is one that edge-publish looks for.

    Raises:
        UsageError: It is not.
    """
    if _NAME.fullmatch(name) is None:
        hint = "Names are root-NAME, targets, snapshot, timestamp, ops, stop and model-NAME, in lower case."
        raise UsageError(f"{name!r} is not the name of a key", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """A directory of keys; one way to be ``Signers``.

    Args:
        directory: Made with mode 0700 when the first key is.
        passphrase: Encrypts new keys, and is tried first on encrypted ones.
        asker: Asked for what ``passphrase`` does not open; None where nobody can be asked.
    """

    directory: Path
    passphrase: bytes | None = field(default=None, repr=False)
    asker: Asker | None = None
    _opened: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)
    """Passphrases that opened a key already: keys often share one."""

    def path(self, name: str) -> Path:
        """Return where a private key lies, whether it is there or not."""
        return self.directory / f"{name}.pem"

    def public_path(self, name: str) -> Path:
        """Return where the public part of a key lies, whether it is there or not."""
        return self.directory / f"{name}{PUBLIC_SUFFIX}"

    def place(self, name: str) -> str:
        """Return where a key is, for a person."""
        return str(self.path(name))

    def lie_in(self, directory: Path) -> bool:
        """Tell whether the keys are kept somewhere below a directory."""
        return self.directory.resolve().is_relative_to(directory.resolve())

    def names(self) -> list[str]:
        """Return the names of all private keys in the directory, sorted; other files are not looked at."""
        return self._names(".pem")

    def public_names(self) -> list[str]:
        """Return the names of the keys whose public part is here, sorted; the private one may be elsewhere."""
        return self._names(PUBLIC_SUFFIX)

    def has(self, name: str) -> bool:
        """Tell whether a private key is here."""
        return self.path(name).is_file()

    def is_encrypted(self, name: str) -> bool:
        """Tell whether a key needs a passphrase.

        Raises:
            UsageError: There is no such key.
            NotPermittedError: Users other than its owner may read it.
        """
        return is_encrypted(self._read(name))

    def create(self, name: str) -> SSlibKey:
        """Make a key that is not there yet, protected as its neighbours are, and return its public part.

        It is encrypted when the keyring has a passphrase for new keys, or when another key in the directory is encrypted.

        Raises:
            UsageError: A key of that name exists, or it should be encrypted and nobody can be asked for a passphrase.
            NotPermittedError: The directory cannot keep a key from other users.
        """
        return self.add(name, self.passphrase_for_new(name))

    def add(self, name: str, passphrase: bytes | None) -> SSlibKey:
        """Make a key that is not there yet, encrypted with exactly this passphrase, and return its public part.

        Raises:
            UsageError: The name is not one of a key, a key of that name exists here or elsewhere, or the passphrase cannot be used.
            NotPermittedError: The directory cannot keep a key from other users.
        """
        check_name(name)
        self.check_absent(name)
        private = Ed25519PrivateKey.generate()
        if not self.directory.is_dir():
            self.directory.mkdir(mode=0o700, parents=True)
            sync_directory(self.directory.parent)
        # In this order: when the second is never written, the key alone says as much, while a public part alone says the key is elsewhere.
        write_private(self.path(name), private, passphrase)
        write_public(self.public_path(name), private.public_key())
        if passphrase is not None and passphrase not in self._opened:
            self._opened.append(passphrase)
        return SSlibKey.from_crypto(private.public_key())

    def passphrase_for_new(self, name: str) -> bytes | None:
        """Return what a new key is to be encrypted with, as ``create`` does it; None for nothing.

        Raises:
            UsageError: It should be encrypted and nobody can be asked for a passphrase.
        """
        if self.passphrase is not None or not any(self.is_encrypted(other) for other in self.names()):
            return self.passphrase
        if self.asker is None:
            hint = f"Set {PASSPHRASE_VARIABLE}, or run the command in a terminal."
            raise UsageError(f"the new key {self.path(name)} needs a passphrase, as the other keys have one", hint=hint)
        return self.asker.new(name)

    def check_absent(self, name: str) -> None:
        """Make sure that there is no key of this name, here or elsewhere.

        Raises:
            UsageError: There is one.
        """
        if self.path(name).exists():
            raise UsageError(
                f"{self.path(name)} exists already", hint="Keys are never overwritten; use another directory."
            )
        if self.public_path(name).exists():
            hint = f"Bring {self.path(name).name} back; remove the .pub file only if the key is lost for good."
            raise UsageError(f"{self.public_path(name)} says that there is a key {name!r} elsewhere", hint=hint)

    def ensure(self, name: str) -> SSlibKey:
        """Return the public part of a key, making the key when it is not there and finishing one whose making was interrupted."""
        if not self.has(name):
            return self.create(name)
        # What a killed process left half written may be a private key; a copy of it that nobody knows of must not stay.
        for path in (self.path(name), self.public_path(name)):
            path.with_name(f".{path.name}.new").unlink(missing_ok=True)
        if not self.public_path(name).exists():
            write_public(self.public_path(name), self._open(name).public_key())
        return self.public(name)

    def public(self, name: str) -> SSlibKey:
        """Return the public part of a key, with its TUF key ID.

        Raises:
            UsageError: As ``signer``.
            NotPermittedError: As ``signer``.
        """
        if self.public_path(name).is_file():
            return read_public(self.public_path(name))
        return SSlibKey.from_crypto(self._open(name).public_key())

    def export_public(self, name: str, target: Path) -> SSlibKey:
        """Write the public part of a key to a file of its own, and return it.

        Raises:
            UsageError: ``target`` exists with another key; otherwise as ``signer``.
            NotPermittedError: As ``signer``.
            OSError: The file cannot be written.
        """
        private = self._open(name)
        public = SSlibKey.from_crypto(private.public_key())
        if target.exists() and read_public(target).keyid != public.keyid:
            raise UsageError(f"{target} exists and is another key", hint="Name another file with --out.")
        write_public(target, private.public_key())
        return public

    def signer(self, name: str) -> CryptoSigner:
        """Open a key for signing.

        Raises:
            UsageError: There is no such key, it is not an ed25519 key, no passphrase opens it, or the public part beside it is that of
                another key.
            NotPermittedError: Users other than its owner may read it.
        """
        signer = CryptoSigner(self._open(name))
        beside = self.public_path(name)
        if beside.is_file() and read_public(beside).keyid != signer.public_key.keyid:
            hint = f"One of the two was replaced; if {self.path(name).name} is the right one, remove {beside.name}."
            raise UsageError(f"{beside} is not the public part of {self.path(name)}", hint=hint)
        return signer

    def change_passphrase(self, name: str, passphrase: bytes | None) -> None:
        """Encrypt a key anew, with another passphrase or with none.

        Raises:
            UsageError: As ``signer``, or the new passphrase cannot be used.
            NotPermittedError: As ``signer``.
        """
        write_private(self.path(name), self._open(name), passphrase)

    def _names(self, suffix: str) -> list[str]:
        return sorted(path.stem for path in self.directory.glob(f"*{suffix}") if _NAME.fullmatch(path.stem))

    def _open(self, name: str) -> Ed25519PrivateKey:
        data = self._read(name)
        path = self.path(name)
        if not is_encrypted(data):
            return open_private(data, path, None)
        failure = UsageError(
            f"the key {path} is encrypted and no passphrase was given",
            hint=f"Set {PASSPHRASE_VARIABLE}, or run the command in a terminal.",
            key=name,
        )
        for passphrase in self._passphrases(name):
            try:
                private = open_private(data, path, passphrase)
            except UsageError as exc:
                failure = exc
                continue
            if passphrase not in self._opened:
                self._opened.append(passphrase)
            return private
        raise failure

    def _passphrases(self, name: str) -> Iterator[bytes]:
        if self.passphrase is not None:
            yield self.passphrase
        yield from tuple(self._opened)
        if self.asker is not None:
            for _ in range(ATTEMPTS):
                yield self.asker.known(name)

    def _read(self, name: str) -> bytes:
        try:
            return read_private(self.path(name))
        except (FileNotFoundError, NotADirectoryError) as exc:
            file = self.path(name).name
            hint = f"Bring {file} back from where it is kept, or name another directory with --keys."
            raise UsageError(f"there is no key {name!r} in {self.directory}", hint=hint, key=name) from exc
