"""Check a whole published repository as a device would read it, and go on after each thing that is wrong.

(1) signatures  from the trusted root to every role (``chain``)
(2) expiry      of every role
(3) documents   every target that is signed: there, whole, and readable as what it is to be
(4) files       every file of every version: there, with the size and the chunk index that are signed; deep: its bytes, too
(5) the fleet   what the documents say, against what is published (``fleet``)
(6) the rest    files that nothing in force refers to, where files can be listed

What a break makes unreadable is not guessed at: after a broken chain (1), or a host that no longer answers, nothing else is said.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from edged.bundle.manifest import MAX_MANIFEST_BYTES, FileEntry
from edged.bundle.parse import parse_manifest
from edged.codec import decode_json
from edged.errors import BundleError, DigestMismatchError, EdgedError, HostUnreachableError
from edged.ops.flags import Flags
from edged.ops.policy import Policy
from edged.ops.rollout import Rollout
from edged.ops.stop import Stops
from edged.publish.fleet.floor import floor_of, published_versions
from edged.publish.repository.blobs import blob_path, index_path
from edged.publish.repository.documents import FLAGS, POLICY, ROLLOUT, STOPS
from edged.publish.repository.expiring import find_expiring
from edged.publish.repository.roles import Expiry, manifest_path
from edged.publish.repository.state import target_location
from edged.publish.verify.chain import Chain, follow
from edged.publish.verify.findings import Counts, Finding, Report, error_at
from edged.publish.verify.fleet import Model, check_fleet
from edged.publish.verify.places import Place, size_of
from edged.publish.verify.rest import find_rest
from edged.update.download.chunks import index_limit_bytes, parse_index
from edged.update.trust.trust import translated

_KINDS: Final = {kind.path: kind for kind in (ROLLOUT, FLAGS, POLICY, STOPS)}
_AGAIN: Final = "Restore it from a copy, or remove it and publish the bundle again."
Tell = Callable[[str], None]


def verify_place(place: Place, root: bytes, *, now: datetime, expiry: Expiry, is_deep: bool, tell: Tell) -> Report:
    """Check one repository.

    Args:
        place: Where it is.
        root: The root metadata that devices start from.
        now: UTC.
        expiry: How long signatures hold when they are made.
        is_deep: Read every byte of every file.
        tell: Told what is being looked at, for people who wait.
    """
    report = Report(place=place.name)
    with TemporaryDirectory(prefix="edge-publish-") as directory:
        try:
            chain = follow(place, root, Path(directory) / "metadata")  # (1)
        except EdgedError as error:
            report.findings.append(error_at("metadata", error))
            return report
        report.timestamp_version = chain.state.timestamp.version
        report.findings += chain.findings
        report.findings += _expiries(chain, expiry, now)  # (2)
        check = _Check(place=place, chain=chain, report=report, is_deep=is_deep, tell=tell)
        try:
            check.run(now)
        except HostUnreachableError as error:
            report.findings.append(error_at("the host", error))
    report.counts = Counts(
        roles=len(chain.state.targets) + 3,
        versions=check.versions,
        files=len(check.sizes),
        file_bytes=sum(check.sizes.values()),
        is_deep=is_deep,
    )
    return report


def _expiries(chain: Chain, expiry: Expiry, now: datetime) -> Iterator[Finding]:
    for role in find_expiring(chain.state, expiry, now):
        yield Finding(
            severity="error" if role.urgency == "expired" else "warning",
            where=role.role,
            what=f"{'expired' if role.urgency == 'expired' else 'expires'} on {role.expires:%Y-%m-%d %H:%M} UTC",
            advice=role.who,
        )


@dataclass(slots=True, kw_only=True)
class _Check:
    """What was seen of one place so far."""

    place: Place
    chain: Chain
    report: Report
    is_deep: bool
    tell: Tell
    versions: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    """Of each blob, by its path."""
    referred: set[str] = field(default_factory=set)
    """Paths of all files below targets, blobs and index that something in force names."""
    documents: dict[str, Rollout | Flags | Policy | Stops] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)

    def run(self, now: datetime) -> None:
        for role, targets in sorted(self.chain.state.targets.items()):
            for path, file in sorted(targets.targets.items()):
                self.referred.add(target_location(path, file.hashes.get("sha256", "")))
                with self._noting(path):
                    self._check_target(role, path)
            if role.startswith("m-"):
                with self._noting(role):
                    model = Model(versions=tuple(published_versions(targets)), floor=floor_of(targets))
                    self.models[role.removeprefix("m-")] = model
        self.report.findings += check_fleet(self.documents, self.models, now=now)  # (5)
        listed = self.place.sizes()
        if listed is not None:
            self.report.findings += find_rest(listed, self.referred)  # (6)

    def _check_target(self, role: str, path: str) -> None:  # (3)
        repository = self.chain.repository
        if role.startswith("m-"):
            data = repository.read_target(path, max_bytes=MAX_MANIFEST_BYTES).data
            manifest = parse_manifest(data, source=path)
            if path != manifest_path(manifest.model, manifest.version):
                raise BundleError(
                    f"it is the manifest of {manifest.name} {manifest.version}", hint="Publish that version again."
                )
            self.versions += 1
            self.tell(f"look at {manifest.name} {manifest.version}")
            for entry in manifest.files_for(manifest.variants):
                self._check_file(entry)
        elif (kind := _KINDS.get(path)) is not None and kind.role == role:
            data = repository.read_target(path, max_bytes=kind.max_bytes).data
            self.documents[path] = decode_json(kind.type, data, source=path)
        else:
            what = "no device knows this document"
            self.report.findings.append(Finding(severity="note", where=path, what=what))

    def _check_file(self, entry: FileEntry) -> None:  # (4)
        path = blob_path(entry.digest)
        if path in self.sizes:
            return
        self.sizes[path] = entry.size
        self.referred.add(path)
        with self._noting(path):
            if (size := size_of(self.place, path)) != entry.size:
                raise DigestMismatchError(f"it has {size} bytes, {entry.size} are signed", hint=_AGAIN)
            if self.is_deep and self._hash(path) != entry.digest:
                raise DigestMismatchError("its bytes are not those that are signed", hint=_AGAIN)
        if entry.index is not None:
            place = index_path(entry.digest)
            self.referred.add(place)
            with self._noting(place), translated(place):
                parse_index(entry, self.place.read(f"{self.place.url}{place}", max_bytes=index_limit_bytes(entry)))

    def _hash(self, path: str) -> str:
        digest = hashlib.sha256()
        with self.place.open(f"{self.place.url}{path}") as stream:
            for block in stream.blocks:
                digest.update(block)
        return digest.hexdigest()

    @contextmanager
    def _noting(self, where: str) -> Iterator[None]:
        """Note what a device would refuse, and go on."""
        try:
            yield
        except HostUnreachableError:
            raise
        except EdgedError as error:
            self.report.findings.append(error_at(where, error))
