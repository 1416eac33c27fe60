"""Somebody who can write to a mirror of a repository and has stolen some of its keys: signs what ``edge-publish`` never would."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import Metadata, MetaFile, TargetFile
from tuf.api.serialization.json import JSONSerializer

from edged.files import hash_bytes
from edged.publish.keys.directory import Keyring
from edged.publish.repository.roles import key_name


class Forger:
    """Works on the files of ``root`` with the keys of the given names, such as ``timestamp`` or ``model-demo``.

    What has to be signed with a key that he does not have, he signs with one of his own making.
    """

    def __init__(self, root: Path, keys: Keyring, stolen: Collection[str] = ()) -> None:
        self.root = root
        self.own = CryptoSigner.generate_ed25519()
        self._keys = keys
        self._stolen = set(stolen)

    def signer(self, name: str) -> Signer:
        return self._keys.signer(name) if name in self._stolen else self.own

    def path(self, role: str) -> Path:
        """Return the newest metadata file of a role."""
        if role == "timestamp":
            return self.root / "metadata/timestamp.json"
        found = (self.root / "metadata").glob(f"*.{role}.json")
        return max(found, key=lambda path: int(path.name.split(".")[0]))

    def read(self, role: str) -> Metadata[Any]:
        return Metadata.from_bytes(self.path(role).read_bytes())

    def sign(
        self, role: str, change: Callable[[Any], object] = lambda _: None, *, signers: Collection[Signer] | None = None
    ) -> int:
        """Write and sign the next version of a role's metadata, changed (its version, too, if he likes), and return its version."""
        metadata = self.read(role)
        metadata.signed.version += 1
        change(metadata.signed)
        metadata.signatures.clear()
        for signer in [self.signer(key_name(role))] if signers is None else signers:
            metadata.sign(signer, append=True)
        self.write(role, metadata.signed.version, metadata.to_bytes(JSONSerializer(compact=True)))
        return metadata.signed.version

    def write(self, role: str, version: int, data: bytes) -> None:
        """Put bytes in the place of a version of a role's metadata."""
        name = "timestamp.json" if role == "timestamp" else f"{version}.{role}.json"
        (self.root / "metadata" / name).write_bytes(data)

    def pin(self, *roles: str, snapshot: Callable[[Any], object] = lambda _: None) -> None:
        """Let a new snapshot name the newest versions of these roles, and a new timestamp name that snapshot."""

        def name_roles(signed: Any) -> None:
            for role in roles:
                signed.meta[f"{role}.json"] = self.meta(role)
            snapshot(signed)

        self.sign("snapshot", name_roles)
        self.point()

    def point(self, change: Callable[[Any], object] = lambda _: None) -> None:
        """Let a new timestamp name the newest snapshot."""

        def name_snapshot(signed: Any) -> None:
            signed.snapshot_meta = self.meta("snapshot")
            change(signed)

        self.sign("timestamp", name_snapshot)

    def meta(self, role: str) -> MetaFile:
        """Describe the newest metadata file of a role."""
        data = self.path(role).read_bytes()
        version = int(self.path(role).name.split(".")[0])
        return MetaFile(version=version, length=len(data), hashes={"sha256": hash_bytes(data)})

    def target(self, role: str, path: str, data: bytes, **fields: object) -> None:
        """Let the next version of a role list a target, and put the target in its place."""
        info = TargetFile(len(data), {"sha256": hash_bytes(data)}, path, unrecognized_fields=dict(fields))
        self.sign(role, lambda signed: signed.targets.update({path: info}))
        directory, _, name = path.rpartition("/")
        place = self.root / "targets" / directory / f"{hash_bytes(data)}.{name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
