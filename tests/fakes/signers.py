"""Keys that are nowhere on a disk, as in a hardware module: what publishing must be able to work with."""

from securesystemslib.signer import CryptoSigner

from edged.errors import UsageError


class MemorySigners:
    """Makes and keeps ed25519 keys in memory; implements ``edged.publish.keys.signers.Signers``."""

    def __init__(self):
        self._signers = {}

    def names(self):
        return sorted(self._signers)

    def has(self, name):
        return name in self._signers

    def signer(self, name):
        if name not in self._signers:
            raise UsageError(f"there is no key {name!r} in memory")
        return self._signers[name]

    def ensure(self, name):
        return self._signers.setdefault(name, CryptoSigner.generate_ed25519()).public_key

    def place(self, name):
        return f"memory:{name}"

    def lie_in(self, directory):
        return False
