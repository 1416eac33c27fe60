"""One repository with 3 of 5 root keys, one device, and somebody who signs whatever a test wants: for tests of whom a device believes."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from edged.publish.keys.directory import Keyring, root_keys
from edged.publish.repository.operations import init_repository
from edged.publish.repository.roles import Expiry
from edged.update.trust.trust import TrustedRepository, refresh_trust
from tests.fakes.directory_origins import URL, DirectoryOrigin
from tests.fakes.forgers import Forger

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""When the repository is made."""
AS_USUAL = Expiry(timestamp_days=7)
DOCUMENT = "ops/some.json"
"""A target that the role ``ops`` may list."""


class WatchedOrigin(DirectoryOrigin):
    """Remembers what it was asked for, and says of some files that they are not there."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.withheld: set[str] = set()
        self.asked: list[str] = []

    def targets_asked(self) -> list[str]:
        return [path for path in self.asked if path.startswith("targets/")]

    def _data(self, url: str) -> bytes:
        path = url.removeprefix(URL)
        self.asked.append(path)
        return super()._data(f"{url}.withheld" if path in self.withheld else url)


def make_repository(directory: Path, *, expiry: Expiry = AS_USUAL) -> tuple[Path, Keyring]:
    """Make it in ``directory / "repository"``."""
    keys = Keyring(directory=directory / "keys")
    init_repository(directory / "repository", keys, now=NOW, expiry=expiry)
    return directory / "repository", keys


class World:
    """A copy of the repository, a device that knows its first root, and a forger who has every key."""

    def __init__(self, directory, tree, keys):
        self.tree = directory / "repository"
        shutil.copytree(tree, self.tree)
        self.keys = keys
        everybody = [*root_keys(5), "targets", "snapshot", "timestamp", "ops", "stop"]
        self.forger = Forger(self.tree, keys, everybody)
        self.origin = WatchedOrigin(self.tree)
        self.kept = directory / "kept"
        self.root = (self.tree / "metadata/1.root.json").read_bytes()

    def refresh(self, *, at: datetime = NOW + timedelta(hours=1), **options) -> TrustedRepository:
        return refresh_trust(
            directory=self.kept,
            url=URL,
            root=self.root,
            host=self.origin,
            now_unix_s=at.timestamp(),
            **options,
        )

    def version(self, role):
        """Return the version of a role that the device keeps."""
        return json.loads((self.kept / f"{role}.json").read_bytes())["signed"]["version"]

    def rotate(self, change=lambda root: None, *, signers=(1, 2, 3)) -> int:
        """Publish the next root, signed by root keys of these numbers or by others."""
        found = [s if isinstance(s, CryptoSigner) else self.keys.signer(f"root-{s}") for s in signers]
        return self.forger.sign("root", change, signers=found)

    def copy(self):
        """Keep what is published now; the returned function brings it back."""
        saved = self.tree.with_name("saved")
        shutil.copytree(self.tree, saved)

        def restore():
            shutil.rmtree(self.tree)
            shutil.copytree(saved, self.tree)

        return restore

    def replace_key(self, role):
        """Give a top-level role a new key in the next root, and let the forger use it from now on."""
        signer = CryptoSigner.generate_ed25519()

        def change(root):
            for keyid in list(root.roles[role].keyids):
                root.revoke_key(keyid, role)
            root.add_key(signer.public_key, role)

        self.rotate(change)
        old = self.forger.signer
        self.forger.signer = lambda name: signer if name == role else old(name)
