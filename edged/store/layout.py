"""Where things lie in the bundle store. Paths only; nothing here touches the disk."""

from dataclasses import dataclass
from pathlib import Path

from edged.ids import Digest, ModelName, Version


@dataclass(frozen=True, slots=True)
class StoreLayout:
    """The tree below the store's root. Written by edged-update alone, read by edged."""

    root: Path

    @property
    def blobs(self) -> Path:
        """Every file once, named by its digest."""
        return self.root / "blobs"

    @property
    def bundles(self) -> Path:
        """Complete, verified bundles; a name appears here by one rename."""
        return self.root / "bundles"

    @property
    def ops(self) -> Path:
        """The newest verified documents of the ops role."""
        return self.root / "ops"

    @property
    def rollout(self) -> Path:
        """The newest verified rollout document (``edged.ops.rollout``)."""
        return self.ops / "rollout.json"

    @property
    def flags(self) -> Path:
        """The newest verified flags document (``edged.ops.flags``)."""
        return self.ops / "flags.json"

    @property
    def policy(self) -> Path:
        """The newest verified policy document (``edged.ops.policy``)."""
        return self.ops / "policy.json"

    @property
    def stop(self) -> Path:
        """The newest verified stop document (``edged.ops.stop``)."""
        return self.ops / "stop.json"

    @property
    def standing(self) -> Path:
        """What the newest trusted metadata says beside its documents (``edged.ops.standing``)."""
        return self.ops / "standing.json"

    @property
    def partial(self) -> Path:
        """Downloads under way, named by digest."""
        return self.root / "partial"

    @property
    def staging(self) -> Path:
        """Bundles being put together; on the same file system as ``bundles``, so that a rename publishes them."""
        return self.root / "tmp"

    @property
    def metadata(self) -> Path:
        """TUF metadata, in the layout of python-tuf's ngclient."""
        return self.root / "tuf"

    @property
    def ledger(self) -> Path:
        """How many bytes were fetched lately (``edged.update.traffic.ledger``)."""
        return self.root / "ledger.json"

    @property
    def spent(self) -> Path:
        """How many bytes were fetched on the last days, by model (``edged.update.traffic.spent``)."""
        return self.root / "spent.json"

    def blob(self, digest: Digest) -> Path:
        """Return where the blob with this digest lies."""
        return self.blobs / digest[:2] / digest

    def bundle(self, model: ModelName, version: Version) -> Path:
        """Return the directory of one complete bundle."""
        return self.bundles / model / str(version)
