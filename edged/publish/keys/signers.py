"""What publishing asks of signing keys, wherever these are kept.

Everything that signs goes through ``Signers``: files on disk (``Keyring``) are one way to keep keys, a hardware module would be another,
and neither the transaction nor the operations on a repository know which it is. The command line chooses in one place
(``edged.publish.commands.options.keys.open_keyring``).
"""

from pathlib import Path
from typing import Protocol

from securesystemslib.signer import Key, Signer


class Signers(Protocol):
    """Signing keys by name: ``root-...``, ``targets``, ``snapshot``, ``timestamp``, ``ops``, ``stop``, ``model-<model>``."""

    def names(self) -> list[str]:
        """Return the names of the keys that can sign here, sorted."""

    def has(self, name: str) -> bool:
        """Tell whether a key can sign here."""

    def signer(self, name: str) -> Signer:
        """Open a key for signing.

        Raises:
            UsageError: There is no such key, or it cannot be opened.
            NotPermittedError: It is not safe where it is kept.
        """

    def ensure(self, name: str) -> Key:
        """Return the public part of a key, making the key when there is none of that name.

        Raises:
            UsageError: It is there and cannot be read, or it cannot be made.
            NotPermittedError: It is not safe where it is kept.
        """

    def place(self, name: str) -> str:
        """Return where a key is, in words for a person."""

    def lie_in(self, directory: Path) -> bool:
        """Tell whether private keys are kept somewhere below a directory."""
