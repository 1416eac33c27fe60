"""Keys that are to take the place of others in a directory: made, used to sign, and put in their places, each step done once.

A key that is to be trusted waits in ``next/`` of the directory until metadata that names it is published. Then the one before goes to
``replaced/``, under a name with the beginning of its key ID, and the new one gets its name. Nothing is overwritten, and nothing is lost
wherever that is interrupted.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from securesystemslib.signer import Key, Signer

from edged.files import sync_directory
from edged.publish.keys.directory import Keyring

NEXT: Final = "next"
REPLACED: Final = "replaced"
SHORT_KEYID: Final = 16
"""Digits of the key ID in the name of a key that was replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """A directory of keys some of which are being replaced; one way to be ``Signers``.

    Args:
        keyring: The directory.
        replaced: Names of the keys that are being replaced. For these the new ones sign.
    """

    keyring: Keyring
    replaced: Collection[str]

    def waits(self, name: str) -> bool:
        """Tell whether a new key of this name was made and is not in its place yet."""
        return self._next().has(name)

    def ensure_next(self, name: str) -> Key:
        """Return the public part of the new key, making it when there is none; it is protected as those of the directory are.

        Raises:
            UsageError: It cannot be made or read.
            NotPermittedError: It is not safe where it is kept.
        """
        ring = self._next()
        if ring.has(name):
            return ring.ensure(name)
        # A public part alone is what an interrupted move has left.
        ring.public_path(name).unlink(missing_ok=True)
        return ring.add(name, self.keyring.passphrase_for_new(name))

    def take_over(self) -> list[Path]:
        """Put the new keys in their places; returns the private keys that were replaced and are here.

        Raises:
            OSError: The disk refused.
        """
        moved = [path for name in self.replaced if self.waits(name) for path in self._take_over(name)]
        place = self._next().directory
        if place.is_dir():
            for name in self.replaced:
                self._next().public_path(name).unlink(missing_ok=True)
            if not any(place.iterdir()):
                place.rmdir()
        return moved

    def names(self) -> list[str]:
        """Return the names of the keys that can sign here, sorted."""
        return self.keyring.names()

    def has(self, name: str) -> bool:
        """Tell whether a key can sign here."""
        return self._of(name).has(name)

    def signer(self, name: str) -> Signer:
        """Open a key for signing; see ``Signers``."""
        return self._of(name).signer(name)

    def ensure(self, name: str) -> Key:
        """Return the public part of a key, making the key when there is none of that name; see ``Signers``."""
        return self._of(name).ensure(name)

    def place(self, name: str) -> str:
        """Return where a key is, for a person."""
        return self._of(name).place(name)

    def lie_in(self, directory: Path) -> bool:
        """Tell whether the keys are kept somewhere below a directory."""
        return self.keyring.lie_in(directory)

    def _take_over(self, name: str) -> list[Path]:
        ring, attic = self._next(), self.keyring.directory / REPLACED
        attic.mkdir(mode=0o700, exist_ok=True)
        ring.ensure(name)
        moved: list[Path] = []
        if self.keyring.has(name) or self.keyring.public_path(name).is_file():
            label = f"{name}-{self.keyring.public(name).keyid[:SHORT_KEYID]}"
            # The public part last: it says which key this was, for as long as anything of it is here.
            for path in (self.keyring.path(name), self.keyring.public_path(name)):
                if path.is_file():
                    path.rename(attic / f"{label}{path.suffix}")
            moved = [path for path in [attic / f"{label}.pem"] if path.is_file()]
        # The private key first: the public part can be made from it.
        ring.path(name).rename(self.keyring.path(name))
        ring.public_path(name).rename(self.keyring.public_path(name))
        for directory in (attic, ring.directory, self.keyring.directory):
            sync_directory(directory)
        return moved

    def _next(self) -> Keyring:
        return Keyring(
            directory=self.keyring.directory / NEXT, passphrase=self.keyring.passphrase, asker=self.keyring.asker
        )

    def _of(self, name: str) -> Keyring:
        return self._next() if name in self.replaced and self.waits(name) else self.keyring
