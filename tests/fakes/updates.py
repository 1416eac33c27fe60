"""A device that updates from a ``StaticHost`` through a running gate."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edged.bundle.manifest import CHUNK_BYTES
from edged.bundle.read import read_bundle
from edged.clock import Clock, SystemClock
from edged.ids import ModelName, Version
from edged.store.layout import StoreLayout
from edged.update.client import Client, Summary, Usable
from edged.update.fetcher import Host
from edged.update.phases import Phase, Progress
from tests.fakes.gates import RunningGate
from tests.fakes.static_host import StaticHost

THREE_CHUNKS = 2 * CHUNK_BYTES + 1000


class Reports(list[tuple[Phase, Progress | None]]):
    """Remembers what a poll reported."""

    def __call__(self, phase: Phase, progress: Progress | None = None) -> None:
        self.append((phase, progress))


@dataclass
class Device:
    """One store with its client."""

    client: Client
    host: Host
    reports: Reports

    @property
    def layout(self) -> StoreLayout:
        return self.client.layout

    def poll(self) -> Summary:
        return self.client.refresh(self.reports)

    def installed(self) -> list[str]:
        """Return ``MODEL/VERSION`` of every bundle in the store."""
        return sorted(str(p.relative_to(self.layout.bundles)) for p in self.layout.bundles.glob("*/*"))

    def snapshot(self) -> dict[str, bytes]:
        """Return every byte that the daemon could act on."""
        files = [p for top in (self.layout.bundles, self.layout.ops) for p in top.rglob("*") if p.is_file()]
        return {str(p.relative_to(self.layout.root)): p.read_bytes() for p in files}


@contextmanager
def device(
    store: Path,
    web: StaticHost,
    gate: RunningGate,
    *,
    root: Path,
    usable: Usable = lambda manifest: manifest.variants,
    disk_reserve_bytes: int = 0,
    clock: Clock | None = None,
) -> Iterator[Device]:
    """Make a device with an empty store, or go on with the one that is there."""
    host = Host(gate=gate.path, timeout_s=5.0, clock=SystemClock())
    client = Client(
        url=web.url,
        root=root,
        layout=StoreLayout(store),
        host=host,
        usable=usable,
        disk_reserve_bytes=disk_reserve_bytes,
        now_unix_s=(clock or SystemClock()).unix_s,
    )
    client.prepare()
    try:
        yield Device(client, host, Reports())
    finally:
        host.close()


def bundle_of(it, version="1.0.0", name="demo"):
    return read_bundle(it.layout.bundle(ModelName(name), Version.parse(version)))


def blob_path(manifest, number=0) -> str:
    entry = manifest.variants[number].files[0]
    return f"blobs/{entry.sha256[:2]}/{entry.sha256}"
