"""Bring bundles into the store: those that are needed here, each by itself. Blocking.

(1) find out what is missing; once a day also by hashing what is there
(2) remove from the store what nobody needs, so that there is room
(3) download what is missing of each bundle, and stage it

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
from edged.clock import utc_date
from edged.ids import Digest, ModelName
from edged.ops.segments import Device
from edged.store.collect import Keeping, collect
from edged.store.install import drop_damaged, drop_partials, install_bundle, is_installed, prepare_store
from edged.store.layout import StoreLayout
from edged.update.download.download import Downloader, check_space, is_stored, missing_bytes
from edged.update.freshness.standing_file import StandingFile
from edged.update.protocol.messages import Fetching
from edged.update.protocol.phases import Deferred, Phase, Report
from edged.update.refresh.needs import Needs, find_needs, recorded
from edged.update.refresh.plan import Usable, Wanted
from edged.update.refresh.source import Source
from edged.update.refresh.tally import Tally
from edged.update.refresh.undone import Undone
from edged.update.traffic.budget import PutOffError
from edged.update.traffic.spent import add_spent
from edged.update.traffic.traffic import RationedOrigin, Traffic
from edged.update.trust.trust import TrustedRepository

LOG = logging.getLogger(__name__)

CHECK_EVERY_S: Final = 86_400.0
"""How often an installed bundle is hashed again: disks forget."""

METERED_S: Final = 600.0
"""How often it is looked again whether bytes still cost money."""


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
    spent: Path | None = None
    """Where to write down what came over the network; None for what comes in another way."""
    checked_unix_s: dict[Digest, float] = field(default_factory=dict)

    def find_needs(self, repository: TrustedRepository) -> Needs:
        """Find out what the last good documents name.

        Raises:
            HostUnreachableError: The host does not answer.
            GateRefusedError: The gate does not let anybody ask it.
            StoreError: This device has no ID.
        """
        return find_needs(
            repository,
            self.layout,
            in_use=self.rules.in_use,
            device=self.device,
            usable=self.usable,
            now_unix_s=self.now_unix_s(),
        )

    def bring(self, needs: Needs, report: Report, tell: Callable[[Fetching], None]) -> Brought:
        """Bring what is needed; of the repository, nothing but blobs and their indexes is read.

        Args:
            needs: What is needed.
            report: Told each step.
            tell: Told each blob that is obtained.

        Raises:
            HostUnreachableError: The host does not answer.
            GateRefusedError: The gate does not let anybody ask it.
            StoreError: The disk refused for all bundles alike.
        """
        undone = list(needs.undone)
        prepare_store(self.layout)
        missing = self._find_missing(needs.wanted, undone, report)  # (1)
        self._make_room(needs, missing, report=report)  # (2)
        staged: list[str] = []
        deferred = None
        for number, one in enumerate(missing, start=1):  # (3)
            tally = Tally(one, self.traffic, report, number=number, count=len(missing))
            try:
                with recorded(one.name, undone):
                    self._bring_one(one, tally, tell)
                    staged.append(one.name)
            except PutOffError as put_off:
                deferred = self._describe(put_off)
                break
        return Brought(
            staged=tuple(staged),
            undone=tuple(undone),
            deferred=deferred,
            due_unix_s=self._due_unix_s(needs.wanted, deferred),
        )

    def leave(self, needs: Needs) -> Brought:
        """Bring nothing; say what cannot be brought."""
        return Brought(undone=needs.undone)

    def _find_missing(self, wanted: Sequence[Wanted], undone: list[Undone], report: Report) -> list[Wanted]:
        missing: list[Wanted] = []
        for one in wanted:
            with recorded(one.name, undone):
                if not (is_installed(self.layout, one.signed, one.files) and self._is_intact(one, report)):
                    missing.append(one)
        return missing

    def _is_intact(self, one: Wanted, report: Report) -> bool:
        """Hash an installed bundle from disk once in a while; what the disk changed is removed and then fetched again."""
        now_s = self.now_unix_s()
        # A clock that went back says nothing about how long ago that was.
        if 0 <= now_s - self.checked_unix_s.get(one.signed.digest, 0.0) < CHECK_EVERY_S:
            return True
        is_damaged = drop_damaged(self.layout, one.signed, one.files, progress=lambda: report(Phase.STAGING))
        if is_damaged:
            LOG.warning("Disk changed files of %s", one.name)
        else:
            self.checked_unix_s[one.signed.digest] = now_s
        return not is_damaged

    def _make_room(self, needs: Needs, missing: Sequence[Wanted], *, report: Report) -> None:
        if needs.blobs is not None:
            drop_partials(self.layout, keep=needs.blobs)
        keeping = Keeping(
            in_use=self.rules.in_use,
            brought=needs.versions,
            floors=StandingFile(self.layout.standing).floors(),
            blobs=needs.blobs,
            keep_versions=self.rules.keep_versions,
            reserve_bytes=self.rules.disk_reserve_bytes,
        )
        needed = sum(missing_bytes(self.layout, one.files) for one in missing)
        collect(self.layout, keeping, needed_bytes=needed, progress=lambda: report(Phase.STAGING))

    def _bring_one(self, one: Wanted, tally: Tally, tell: Callable[[Fetching], None]) -> None:
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
        with self._written_down(one.signed.manifest.model):
            for file in one.files:
                tally.begin("")
                if not is_stored(self.layout, file):
                    tell(Fetching(blob=file.digest))
                with self.traffic.of_bundle():
                    downloader.fetch_blob(file)
        tally.stage()
        install_bundle(self.layout, one.signed, one.files, progress=tally.stage)
        self.checked_unix_s[one.signed.digest] = self.now_unix_s()
        manifest = one.signed.manifest
        journal.event(
            LOG, journal.MODEL_STAGED, model=manifest.name, version=manifest.version, digest=one.signed.digest
        )

    @contextmanager
    def _written_down(self, model: ModelName) -> Iterator[None]:
        """Write down what comes of a bundle in this context, also when it is not all."""
        before = self.traffic.bundle_bytes
        try:
            yield
        finally:
            if self.spent is not None:
                size = self.traffic.bundle_bytes - before
                add_spent(self.spent, date=utc_date(self.now_unix_s()), model=model, size=size)

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
