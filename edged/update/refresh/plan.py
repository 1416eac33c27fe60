"""What a device needs of a repository: the versions that the rollout brings to it, no lower than their floors, and which of their files.

Rules:

(1) Which versions: ``edged.ops.rollout.decide``. What runs now is not known here, so a halted rollout brings nothing new; what it brought
    before stays in the store for as long as the daemon uses it.
(2) A model's floor is the highest ``min_version`` in the ``custom`` part of the targets of its own role. It rises and never falls, and
    what is below is not fetched, whoever signed it and whatever the rollout says.
(3) Of a version only the files of variants that this machine can use.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import edged
from edged.bundle.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, FileEntry, Manifest, Variant
from edged.bundle.parse import parse_manifest
from edged.errors import BelowFloorError, BundleError, EdgedError, FileMissingError, IncompatibleError
from edged.files import read_limited
from edged.ids import ModelName, Version
from edged.ops.flags import evaluate
from edged.ops.rollout import decide
from edged.ops.segments import Device
from edged.store.install import SignedManifest
from edged.store.layout import StoreLayout
from edged.update.refresh.documents import FLAGS, ROLLOUT, read_document
from edged.update.trust.trust import TrustedRepository

Usable = Callable[[Manifest], Sequence[Variant]]
"""Which variants of a bundle this machine can use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A bundle, and its files that this machine can use."""

    signed: SignedManifest
    files: tuple[FileEntry, ...]

    @property
    def name(self) -> str:
        """``MODEL VERSION``."""
        return f"{self.signed.manifest.name} {self.signed.manifest.version}"


def versions_to_bring(layout: StoreLayout, device: Callable[[], Device]) -> dict[ModelName, tuple[Version, ...]]:
    """Return the versions that the last good documents bring to this device (1), by model.

    Args:
        layout: The store.
        device: Finds out who this device is; not asked where there is nothing to run.

    Raises:
        StoreError: This device has no ID.
    """
    rollout = read_document(layout, ROLLOUT)
    if rollout is None or not rollout.models:
        return {}
    it, flags = device(), read_document(layout, FLAGS)
    values = evaluate(flags, it) if flags is not None else {}
    return {
        ModelName(name): decide(entry, it, active=None, flags=values).bring
        for name, entry in sorted(rollout.models.items())
    }


def read_floor(repository: TrustedRepository, model: ModelName) -> Version | None:
    """Return the floor that a model's role sets (2); None when it sets none, or was not loaded.

    Raises:
        BundleError: What it says is no version.
    """
    parts = repository.custom_of(f"m-{model}")
    stated = [
        part["min_version"]
        for path, part in parts.items()
        if path.startswith(f"models/{model}/") and "min_version" in part
    ]
    try:
        return max(map(Version.parse, stated), default=None)
    except (ValueError, TypeError) as exc:
        raise BundleError(f"a min_version of {model} is no version: {exc}", hint="Publish the model again.") from exc


def load_role(repository: TrustedRepository, model: ModelName, version: Version) -> None:
    """Make sure that a model's role is there and lists a version.

    Raises:
        FileMissingError: It does not.
        EdgedError: The role cannot be had, or not be trusted.
    """
    path = _manifest_path(model, version)
    if not repository.lists(path):
        raise FileMissingError(f"no role of the repository lists {path}", hint="Publish it.", path=path)


def read_wanted(
    repository: TrustedRepository,
    layout: StoreLayout,
    model: ModelName,
    version: Version,
    *,
    floors: Mapping[ModelName, Version],
    usable: Usable,
) -> Wanted:
    """Read a version's manifest and choose its files.

    Raises:
        BelowFloorError: The version is too low.
        IncompatibleError: It has nothing for this machine, or for this edged.
        BundleError: The manifest is none, or of something else.
        EdgedError: It cannot be had, or not be trusted.
    """
    if model in floors and version < floors[model]:
        raise BelowFloorError(
            f"{model} {version} is below the lowest version that may run, {floors[model]}",
            hint="Publisher: roll out a newer version.",
        )
    path = _manifest_path(model, version)
    known = _read_known(layout, model, version)
    target = repository.read_target(path, max_bytes=MAX_MANIFEST_BYTES, known=known)
    manifest = parse_manifest(target.data, source=path)
    if (manifest.name, manifest.version) != (model, str(version)):
        raise BundleError(f"{path} is the manifest of {manifest.name} {manifest.version}", hint="Publish it again.")
    signed = SignedManifest(manifest=manifest, data=target.data, digest=target.digest)
    return Wanted(signed=signed, files=tuple(_choose_files(manifest, usable)))


def _choose_files(manifest: Manifest, usable: Usable) -> Sequence[FileEntry]:
    """Choose the files of a bundle (3)."""
    if Version.parse(manifest.min_edged) > Version.parse(edged.__version__):
        raise IncompatibleError(
            f"{manifest.name} {manifest.version} needs edged {manifest.min_edged}, this is {edged.__version__}",
            hint="Update edged on this device.",
        )
    variants = usable(manifest)
    if not variants:
        raise IncompatibleError(
            f"no variant of {manifest.name} {manifest.version} fits this machine",
            hint="Add a variant for this machine to the bundle, or take the device out of the rollout.",
        )
    return manifest.files_for(variants)


def _manifest_path(model: ModelName, version: Version) -> str:
    return f"models/{model}/{version}/{MANIFEST_NAME}"


def _read_known(layout: StoreLayout, model: ModelName, version: Version) -> bytes:
    """Read the manifest that the store holds; nothing when there is none that could be what was signed."""
    try:
        return read_limited(layout.bundle(model, version) / MANIFEST_NAME, max_bytes=MAX_MANIFEST_BYTES)
    except (OSError, EdgedError):
        return b""
