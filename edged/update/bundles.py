"""Bring bundles into the store: those that the rollout brings to this device, each by itself. Blocking.

(1) load the role of every model, and keep their floors, which the daemon obeys at once
(2) read the manifest of every version, and choose its files; also of those that the daemon uses beside
(3) find out what is missing; once a day also by hashing what is there
(4) remove from the store what nobody needs, so that there is room
(5) download what is missing of each bundle, and stage it

A bundle that cannot be brought in is recorded and does not stop the others; a host that does not answer stops the refresh. What a budget
or a metered link does not allow now is put off, and that is no failure.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edged import journal
from edged.errors import BundleError, EdgedError, GateRefusedError, HostUnreachableError
from edged.ids import Digest, ModelName, Version
from edged.ops.segments import Device
from edged.store.collect import Keeping, collect
from edged.store.in_use import read_in_use
from edged.store.install import drop_damaged, drop_partials, install_bundle, is_installed, prepare_store
from edged.store.layout import StoreLayout
from edged.update.budget import PutOffError
from edged.update.download import Downloader, check_space, is_stored, missing_bytes
from edged.update.phases import Deferred, Phase, Report
from edged.update.plan import Usable, Wanted, load_role, read_floor, read_wanted, versions_to_bring
from edged.update.source import Source
from edged.update.standing_file import StandingFile
from edged.update.tally import Tally
from edged.update.traffic import RationedOrigin, Traffic
from edged.update.trust import TrustedRepository
from edged.update.undone import Undone

LOG = logging.getLogger(__name__)

CHECK_EVERY_S: Final = 86_400.0
"""How often an installed bundle is hashed again: disks forget."""

METERED_S: Final = 600.0
"""How often it is looked again whether bytes still cost money."""

Versions = dict[ModelName, tuple[Version, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What came of it."""

    staged: tuple[str, ...] = ()
    """``MODEL VERSION`` of each bundle that is new in the store."""
    undone: tuple[Undone, ...] = ()
    deferred: Deferred | None = None
    due_unix_s: tuple[float, ...] = ()
    """When there is something to do again although nothing new was published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRules:
    """What is kept, as configured.

    Args:
        in_use: Where the daemon says which versions it uses.
        keep_versions: How many others are kept.
        disk_reserve_bytes: Free disk that is never used up.
    """

    in_use: Path
    keep_versions: int
    disk_reserve_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundles:
    """Keeps the bundles of one store up to date.

    Args:
        source: Where they come from.
        layout: The store.
        rules: What is kept.
        device: Finds out who this device is.
        usable: Chooses variants.
        waits_when_metered: Whether bundles wait while bytes cost money.
        traffic: What comes over the network.
        now_unix_s: The time to judge by.
        checked_unix_s: When each installed bundle of the rollout was last hashed, by the digest of its manifest; kept up to date.
    """

    source: Source
    layout: StoreLayout
    rules: StoreRules
    device: Callable[[], Device]
    usable: Usable
    waits_when_metered: bool
    traffic: Traffic
    now_unix_s: Callable[[], float]
    checked_unix_s: dict[Digest, float] = field(default_factory=dict)

    def bring(self, repository: TrustedRepository, report: Report) -> Brought:
        """Bring what the last good documents name.

        Raises:
            HostUnreachableError: The host does not answer.
            GateRefusedError: The gate does not let anybody ask it.
            StoreError: The disk refused for all bundles alike, or this device has no ID.
        """
        undone: list[Undone] = []
        prepare_store(self.layout)
        versions = versions_to_bring(self.layout, self.device)
        self._keep_floors(repository, versions, undone)  # (1)
        wanted = self._read_manifests(repository, versions, undone)  # (2)
        is_all_known = not undone
        wanted += self._read_used(repository, versions)
        missing = self._find_missing(wanted, undone, report)  # (3)
        self._make_room(versions, wanted, missing, is_all_known=is_all_known, report=report)  # (4)
        staged: list[str] = []
        deferred = None
        for number, one in enumerate(missing, start=1):  # (5)
            tally = Tally(one, self.traffic, report, number=number, count=len(missing))
            try:
                with _recorded(one.name, undone):
                    self._bring_one(one, tally)
                    staged.append(one.name)
            except PutOffError as put_off:
                deferred = self._describe(put_off)
                break
        return Brought(
            staged=tuple(staged),
            undone=tuple(undone),
            deferred=deferred,
            due_unix_s=self._due_unix_s(wanted, deferred),
        )

    def _keep_floors(self, repository: TrustedRepository, versions: Versions, undone: list[Undone]) -> None:
        floors: dict[ModelName, Version] = {}
        try:
            for model, found in versions.items():
                for version in found:
                    with _recorded(f"{model} {version}", undone):
                        load_role(repository, model, version)
                with _recorded(str(model), undone):
                    if (floor := read_floor(repository, model)) is not None:
                        floors[model] = floor
        finally:
            StandingFile(self.layout.standing).keep(self.now_unix_s(), floors)

    def _read_manifests(self, repository: TrustedRepository, versions: Versions, undone: list[Undone]) -> list[Wanted]:
        floors = StandingFile(self.layout.standing).floors()
        known = {one.subject for one in undone}
        wanted: list[Wanted] = []
        for model, found in versions.items():
            for version in found:
                if f"{model} {version}" in known:
                    continue
                with _recorded(f"{model} {version}", undone):
                    wanted.append(
                        read_wanted(repository, self.layout, model, version, floors=floors, usable=self.usable)
                    )
        return wanted

    def _read_used(self, repository: TrustedRepository, versions: Versions) -> list[Wanted]:
        """Read the manifests of what the daemon uses beside: the version to fall back to is hashed and mended, too, where it can be."""
        floors = StandingFile(self.layout.standing).floors()
        used: list[Wanted] = []
        for model, found in sorted((read_in_use(self.rules.in_use) or {}).items()):
            for version in sorted(found.difference(versions.get(model, ()))):
                try:
                    used.append(read_wanted(repository, self.layout, model, version, floors=floors, usable=self.usable))
                except (HostUnreachableError, GateRefusedError):
                    raise
                except EdgedError as exc:
                    LOG.info("%s %s is not looked after: %s", model, version, exc)
        return used

    def _find_missing(self, wanted: Sequence[Wanted], undone: list[Undone], report: Report) -> list[Wanted]:
        missing: list[Wanted] = []
        for one in wanted:
            with _recorded(one.name, undone):
                if not (is_installed(self.layout, one.signed, one.files) and self._is_intact(one, report)):
                    missing.append(one)
        return missing

    def _is_intact(self, one: Wanted, report: Report) -> bool:
        """Hash an installed bundle from disk once in a while; what the disk changed is removed and then fetched again."""
        now_s = self.now_unix_s()
        if now_s - self.checked_unix_s.get(one.signed.digest, 0.0) < CHECK_EVERY_S:
            return True
        is_damaged = drop_damaged(self.layout, one.signed, one.files, progress=lambda: report(Phase.STAGING))
        if is_damaged:
            LOG.warning("Disk changed files of %s", one.name)
        else:
            self.checked_unix_s[one.signed.digest] = now_s
        return not is_damaged

    def _make_room(
        self,
        versions: Versions,
        wanted: Sequence[Wanted],
        missing: Sequence[Wanted],
        *,
        is_all_known: bool,
        report: Report,
    ) -> None:
        blobs = {file.digest for one in wanted for file in one.files} if is_all_known else None
        if blobs is not None:
            drop_partials(self.layout, keep=blobs)
        keeping = Keeping(
            in_use=self.rules.in_use,
            brought=versions,
            floors=StandingFile(self.layout.standing).floors(),
            blobs=blobs,
            keep_versions=self.rules.keep_versions,
            reserve_bytes=self.rules.disk_reserve_bytes,
        )
        needed = sum(missing_bytes(self.layout, one.files) for one in missing)
        collect(self.layout, keeping, needed_bytes=needed, progress=lambda: report(Phase.STAGING))

    def _bring_one(self, one: Wanted, tally: Tally) -> None:
        """Download and stage one bundle."""
        check_space(self.layout, one.files, reserve_bytes=self.rules.disk_reserve_bytes)
        if not all(is_stored(self.layout, file) for file in one.files):
            self._check_permission()
        downloader = Downloader(
            host=RationedOrigin(origin=self.source.origin, budget=self.traffic.budget),
            url=self.source.url,
            layout=self.layout,
            on_bytes=tally.add,
            on_source=tally.begin,
            ways=self.source.ways,
            name=self.source.name,
        )
        tally.add(0)
        for file in one.files:
            tally.begin("")
            with self.traffic.of_bundle():
                downloader.fetch_blob(file)
        tally.stage()
        install_bundle(self.layout, one.signed, one.files, progress=tally.stage)
        self.checked_unix_s[one.signed.digest] = self.now_unix_s()
        manifest = one.signed.manifest
        journal.event(
            LOG, journal.MODEL_STAGED, model=manifest.name, version=manifest.version, digest=one.signed.digest
        )

    def _check_permission(self) -> None:
        """Raise PutOffError when nothing of a bundle may be fetched now."""
        if self.waits_when_metered and self.source.is_metered():
            raise PutOffError("metered")
        self.traffic.budget.allowance()

    def _describe(self, put_off: PutOffError) -> Deferred:
        if put_off.cause != "metered":
            return self.traffic.budget.describe(put_off.cause, now_unix_s=self.now_unix_s())
        return Deferred(cause="metered", message='bytes cost money on this network, and update.metered is "wait"')

    def _due_unix_s(self, wanted: Sequence[Wanted], deferred: Deferred | None) -> tuple[float, ...]:
        for digest in self.checked_unix_s.keys() - {one.signed.digest for one in wanted}:
            del self.checked_unix_s[digest]
        checks = tuple(at_s + CHECK_EVERY_S for at_s in self.checked_unix_s.values())
        match deferred:
            case None:
                return checks
            case Deferred(cause="metered"):
                return (*checks, self.now_unix_s() + METERED_S)
            case Deferred(until=until):
                return (*checks, self.now_unix_s() if until is None else until)


@contextmanager
def _recorded(subject: str, undone: list[Undone]) -> Iterator[None]:
    """Record what goes wrong with one bundle, and go on with the next; but nothing else comes from a host that does not answer."""
    try:
        yield
    except (HostUnreachableError, GateRefusedError):
        raise
    except EdgedError as error:
        undone.append(Undone(subject=subject, error=error, is_for_publisher=isinstance(error, BundleError)))
