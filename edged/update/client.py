"""One refresh: what the repository says now, brought into the store. Blocking.

(1) refresh the top-level metadata
(2) read the rollout document, which says which version of which model to run, and keep it: the daemon acts on it at once where the store
    holds that version already, however long the rest takes
(3) for each model: read its manifest, choose the files this machine can use, download what is missing, stage the bundle

A model that cannot be brought in is recorded and does not stop the others; a host that does not answer stops the refresh.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import edged
from edged import journal
from edged.bundle.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, FileEntry, Manifest, Variant
from edged.bundle.parse import parse_manifest
from edged.codec import decode_json
from edged.errors import (
    BundleError,
    EdgedError,
    GateRefusedError,
    HostUnreachableError,
    IncompatibleError,
    StoreError,
)
from edged.files import read_limited
from edged.ids import Digest, ModelName, Version
from edged.ops.rollout import MAX_ROLLOUT_BYTES, Rollout
from edged.store.install import (
    SignedManifest,
    disk_errors,
    drop_damaged,
    drop_partials,
    install_bundle,
    install_rollout,
    is_installed,
    prepare_store,
)
from edged.store.layout import StoreLayout
from edged.update.download import Downloader, check_space
from edged.update.fetcher import Host
from edged.update.phases import Phase, Progress, Report
from edged.update.trust import TrustedRepository, refresh_trust

LOG = logging.getLogger(__name__)

ROLLOUT_TARGET: Final = "ops/rollout.json"
MAX_ROOT_BYTES: Final = 512_000
CHECK_EVERY_S: Final = 86_400.0
"""How often an installed bundle is hashed again: disks forget."""

Usable = Callable[[Manifest], Sequence[Variant]]
"""Which variants of a bundle this machine can use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFailure:
    """A bundle that the rollout names and that could not be brought in."""

    model: ModelName
    version: str
    error: EdgedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What one refresh did."""

    staged: tuple[str, ...]
    """``MODEL VERSION`` of each bundle that is new in the store."""
    failures: tuple[ModelFailure, ...]
    timestamp: bytes
    """The repository's timestamp, which stands for all that was seen of it."""
    due_unix_s: float
    """When there is something to do even if the repository does not change: some metadata expires, or a bundle is to be hashed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Keeps one store up to date with one repository.

    Args:
        url: The repository, with a slash at its end.
        root: File with the root metadata this device trusts.
        layout: The store.
        host: What fetches.
        usable: Chooses variants.
        disk_reserve_bytes: Free disk that is never used up.
        now_unix_s: The time to judge expiry by.
    """

    url: str
    root: Path
    layout: StoreLayout
    host: Host
    usable: Usable
    disk_reserve_bytes: int
    now_unix_s: Callable[[], float]
    checked_unix_s: dict[Digest, float] = field(default_factory=dict)
    """When each installed bundle of the rollout was last hashed, by the digest of its manifest; kept up to date."""

    def prepare(self) -> None:
        """Make the store ready, once at start.

        Raises:
            StoreError: The disk refused.
        """
        prepare_store(self.layout)

    def refresh(self, report: Report) -> Summary:
        """Bring the store up to date with the repository.

        Raises:
            FetchError: The host does not answer.
            TrustError: The repository as a whole cannot be trusted.
            StoreError: The disk refused; also when the root file cannot be read.
        """
        report(Phase.POLLING)
        repository = refresh_trust(  # (1)
            directory=self.layout.metadata,
            url=self.url,
            root=self._read_root(),
            host=self.host,
            now_unix_s=self.now_unix_s(),
        )
        report(Phase.POLLING)
        rollout = self._read_rollout(repository)  # (2)
        staged: list[str] = []
        failures: list[ModelFailure] = []
        wanted: set[Digest] = set()
        installed: set[Digest] = set()
        for name, entry in sorted(rollout.models.items()):  # (3)
            if entry.version is None:
                continue
            model = ModelName(name)
            try:
                signed = self._read_manifest(repository, model, entry.version)
                files = self._choose_files(signed.manifest)
                wanted.update(file.digest for file in files)
                if self._bring_in(signed, files, report):
                    staged.append(f"{model} {entry.version}")
                installed.add(signed.digest)
            except (HostUnreachableError, GateRefusedError):
                raise  # nothing else of this host will come either
            except EdgedError as error:
                failures.append(ModelFailure(model=model, version=entry.version, error=error))
        drop_partials(self.layout, keep=wanted)
        for digest in self.checked_unix_s.keys() - installed:
            del self.checked_unix_s[digest]
        checks_unix_s = [at_s + CHECK_EVERY_S for at_s in self.checked_unix_s.values()]
        return Summary(
            staged=tuple(staged),
            failures=tuple(failures),
            timestamp=repository.read_timestamp(),
            due_unix_s=min([repository.expires_unix_s, *checks_unix_s]),
        )

    def _read_root(self) -> bytes:
        try:
            return read_limited(self.root, max_bytes=MAX_ROOT_BYTES)
        except OSError as exc:
            raise StoreError(
                f"the trusted root {self.root} cannot be read: {exc.strerror}",
                hint="Install the publisher's 1.root.json there, or set repository.root.",
            ) from exc

    def _read_rollout(self, repository: TrustedRepository) -> Rollout:
        known = _read_known(self.layout.rollout, max_bytes=MAX_ROLLOUT_BYTES)
        target = repository.read_target(ROLLOUT_TARGET, max_bytes=MAX_ROLLOUT_BYTES, known=known)
        rollout = decode_json(Rollout, target.data, source=ROLLOUT_TARGET)
        if target.data != known:
            install_rollout(self.layout, target.data)
        return rollout

    def _read_manifest(self, repository: TrustedRepository, model: ModelName, version: str) -> SignedManifest:
        known = _read_known(
            self.layout.bundle(model, Version.parse(version)) / MANIFEST_NAME, max_bytes=MAX_MANIFEST_BYTES
        )
        path = f"models/{model}/{version}/manifest.json"
        target = repository.read_target(path, max_bytes=MAX_MANIFEST_BYTES, known=known)
        manifest = parse_manifest(target.data, source=path)
        if (manifest.name, manifest.version) != (model, version):
            raise BundleError(f"{path} is the manifest of {manifest.name} {manifest.version}", hint="Publish it again.")
        return SignedManifest(manifest=manifest, data=target.data, digest=target.digest)

    def _choose_files(self, manifest: Manifest) -> list[FileEntry]:
        if Version.parse(manifest.min_edged) > Version.parse(edged.__version__):
            raise IncompatibleError(
                f"{manifest.name} {manifest.version} needs edged {manifest.min_edged}, this is {edged.__version__}",
                hint="Update edged on this device.",
            )
        variants = self.usable(manifest)
        if not variants:
            raise IncompatibleError(
                f"no variant of {manifest.name} {manifest.version} fits this machine",
                hint="Add a variant for this machine to the bundle, or take the device out of the rollout.",
            )
        return manifest.files_for(variants)

    def _is_intact(self, signed: SignedManifest, files: Sequence[FileEntry], report: Report) -> bool:
        """Hash an installed bundle from disk once in a while; what the disk changed is removed and then fetched again."""
        now_s = self.now_unix_s()
        if now_s - self.checked_unix_s.get(signed.digest, 0.0) < CHECK_EVERY_S:
            return True
        is_damaged = drop_damaged(self.layout, signed, files, progress=lambda: report(Phase.STAGING))
        if is_damaged:
            LOG.warning("Disk changed files of %s %s", signed.manifest.name, signed.manifest.version)
        else:
            self.checked_unix_s[signed.digest] = now_s
        return not is_damaged

    def _bring_in(self, signed: SignedManifest, files: Sequence[FileEntry], report: Report) -> bool:
        """Download and stage one bundle; False when it was there already."""
        if is_installed(self.layout, signed, files) and self._is_intact(signed, files, report):
            return False
        manifest = signed.manifest
        check_space(self.layout, files, reserve_bytes=self.disk_reserve_bytes)
        total_bytes = sum(file.size for file in files)
        received_bytes = 0

        def count(size: int) -> None:
            nonlocal received_bytes
            received_bytes += size
            report(
                Phase.DOWNLOADING,
                Progress(
                    model=manifest.name,
                    version=manifest.version,
                    received_bytes=received_bytes,
                    total_bytes=total_bytes,
                ),
            )

        downloader = Downloader(host=self.host, url=self.url, layout=self.layout, on_bytes=count)
        count(0)
        for file in files:
            downloader.fetch_blob(file)
        report(Phase.STAGING)
        install_bundle(self.layout, signed, files, progress=lambda: report(Phase.STAGING))
        self.checked_unix_s[signed.digest] = self.now_unix_s()
        journal.event(LOG, journal.MODEL_STAGED, model=manifest.name, version=manifest.version, digest=signed.digest)
        return True


def _read_known(path: Path, *, max_bytes: int) -> bytes:
    """Read what the store already holds; nothing when it is not there or cannot be what was signed."""
    try:
        with disk_errors(f"reading {path}"):
            return path.read_bytes() if path.is_file() and path.stat().st_size <= max_bytes else b""
    except StoreError as exc:
        LOG.warning("%s", exc)
        return b""
