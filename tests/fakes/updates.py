"""A device that updates from a ``StaticHost`` through a running gate."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edged.bundle.manifest import CHUNK_BYTES
from edged.bundle.read import read_bundle
from edged.clock import Clock, SystemClock
from edged.ids import Digest, ModelName, Version
from edged.ops import segments as fleet
from edged.store.install import prepare_store
from edged.store.layout import StoreLayout
from edged.update.origins.fetcher import Host
from edged.update.protocol.phases import Phase, Progress
from edged.update.refresh.bundles import Bundles, StoreRules
from edged.update.refresh.plan import Usable
from edged.update.refresh.refresh import Refresh, Summary
from edged.update.refresh.source import Source
from edged.update.traffic.budget import Budget
from edged.update.traffic.ledger import LedgerFile, read_moment
from edged.update.traffic.traffic import Traffic
from tests.fakes.gates import RunningGate
from tests.fakes.static_host import StaticHost

THREE_CHUNKS = 2 * CHUNK_BYTES + 1000
NOWHERE = Path("/nonexistent/file")
RULES = StoreRules(in_use=NOWHERE, keep_versions=2, disk_reserve_bytes=0)
SOMEBODY = fleet.Device(id="0" * 32, arch="amd64")


class Reports(list[tuple[Phase, Progress | None]]):
    """Remembers what a poll reported."""

    def __call__(self, phase: Phase, progress: Progress | None = None) -> None:
        self.append((phase, progress))


@dataclass
class Device:
    """One store, and what brings it up to date."""

    refresh: Refresh
    host: Host
    reports: Reports

    @property
    def layout(self) -> StoreLayout:
        return self.refresh.layout

    def poll(self) -> Summary:
        return self.refresh.run(self.reports)

    def installed(self) -> list[str]:
        """Return ``MODEL/VERSION`` of every bundle in the store."""
        return sorted(str(p.relative_to(self.layout.bundles)) for p in self.layout.bundles.glob("*/*"))

    def snapshot(self) -> dict[str, bytes]:
        """Return every byte that the daemon could act on."""
        files = [p for top in (self.layout.bundles, self.layout.ops) for p in top.rglob("*") if p.is_file()]
        return {str(p.relative_to(self.layout.root)): p.read_bytes() for p in files}


def make_refresh(
    source: Source,
    layout: StoreLayout,
    *,
    root: Path,
    usable: Usable = lambda manifest: manifest.variants,
    rules: StoreRules = RULES,
    waits_when_metered: bool = False,
    it: fleet.Device = SOMEBODY,
    traffic: Traffic | None = None,
    clock: Clock | None = None,
) -> Refresh:
    """Make what a refresh process makes, with the facts of this machine left out."""
    now_unix_s = (clock or SystemClock()).unix_s
    checked_unix_s: dict[Digest, float] = {}

    def make_bundles() -> Bundles:
        return Bundles(
            source=source,
            layout=layout,
            rules=rules,
            device=lambda: it,
            usable=usable,
            waits_when_metered=waits_when_metered,
            traffic=traffic or unlimited_traffic(),
            now_unix_s=now_unix_s,
            spent=layout.spent,
            checked_unix_s=checked_unix_s,
        )

    return Refresh(source=source, root=root, layout=layout, make_bundles=make_bundles, now_unix_s=now_unix_s)


def unlimited_traffic() -> Traffic:
    """Count what comes, without any limit."""
    ledger = LedgerFile(NOWHERE, lambda: read_moment(0.0))
    return Traffic(Budget(max_bytes=0, max_bytes_per_day=0, ledger=ledger), SystemClock())


@contextmanager
def device(
    store: Path,
    web: StaticHost,
    gate: RunningGate,
    *,
    disk_reserve_bytes: int = 0,
    **options: Any,
) -> Iterator[Device]:
    """Make a device with an empty store, or go on with the one that is there; ``options`` are those of ``make_refresh``."""
    traffic = options.setdefault("traffic", unlimited_traffic())
    host = Host(gate=gate.path, timeout_s=60.0, clock=SystemClock(), on_bytes=traffic.came)
    source = Source(origin=host, url=web.url, is_metered=lambda: host.is_metered)
    rules = StoreRules(in_use=NOWHERE, keep_versions=2, disk_reserve_bytes=disk_reserve_bytes)
    refresh = make_refresh(source, StoreLayout(store), **{"rules": rules, **options})
    prepare_store(refresh.layout)  # some tests put files into it
    try:
        yield Device(refresh, host, Reports())
    finally:
        host.close()


def bundle_of(it, version="1.0.0", name="demo"):
    return read_bundle(it.layout.bundle(ModelName(name), Version.parse(version)))


def blob_path(manifest, number=0) -> str:
    entry = manifest.variants[number].files[0]
    return f"blobs/{entry.sha256[:2]}/{entry.sha256}"
