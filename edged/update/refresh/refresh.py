"""One refresh: what the repository says now, brought into the store. Blocking.

(1) refresh the top-level metadata
(2) bring the fleet's documents, the stop document first: the daemon acts on each at once, however long the rest takes
(3) find out which bundles they name; nothing of the repository's metadata is read or written afterwards
(4) bring those

A light refresh, which leaves out (4), may so run beside one that has reached (4), and no other may.

A document or a bundle that cannot be brought in is recorded and does not stop the others; a host that does not answer stops the refresh.
What only (3) and (4) need is not even loaded before, because a stop must not wait for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.errors import StoreError
from edged.files import read_limited
from edged.ids import Digest
from edged.store.layout import StoreLayout
from edged.update.freshness.standing_file import StandingFile
from edged.update.protocol.messages import Milestone, Planned, Trusted
from edged.update.protocol.phases import Deferred, Phase, Report
from edged.update.refresh.documents import bring_documents
from edged.update.refresh.source import Source
from edged.update.refresh.undone import Undone
from edged.update.trust.trust import refresh_trust

if TYPE_CHECKING:
    from edged.update.refresh.bundles import Bundles

MAX_ROOT_BYTES: Final = 512_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What one refresh did."""

    staged: tuple[str, ...]
    """``MODEL VERSION`` of each bundle that is new in the store."""
    undone: tuple[Undone, ...]
    deferred: Deferred | None
    timestamp: bytes
    """The repository's timestamp, which stands for all that was seen of it."""
    due_unix_s: float
    """When there is something to do even if the repository does not change: some metadata expires, a bundle is to be hashed again, or what
    was put off may come."""
    wanted: tuple[Digest, ...] | None
    """Every blob that is wanted here; None when not all are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """Brings one store up to date with one repository.

    Args:
        source: Where the repository is.
        root: File with the root metadata this device trusts.
        layout: The store.
        make_bundles: Makes what brings bundles, from the same source.
        now_unix_s: The time to judge expiry by.
    """

    source: Source
    root: Path
    layout: StoreLayout
    make_bundles: "Callable[[], Bundles]"
    now_unix_s: Callable[[], float]

    def run(
        self, report: Report, *, tell: Callable[[Milestone], None] = lambda _: None, brings_bundles: bool = True
    ) -> Summary:
        """Bring the store up to date with the repository.

        Args:
            report: Told each step.
            tell: Told how far it is.
            brings_bundles: False for a light refresh.

        Raises:
            FetchError: The host does not answer.
            TrustError: The repository as a whole cannot be trusted.
            StoreError: The disk refused; also when the root file cannot be read, or this device has no ID.
        """
        report(Phase.POLLING)
        repository = refresh_trust(  # (1)
            directory=self.layout.metadata,
            url=self.source.url,
            root=self._read_root(),
            host=self.source.origin,
            now_unix_s=self.now_unix_s(),
        )
        timestamp = repository.read_timestamp()
        tell(Trusted(timestamp=timestamp))
        undone = bring_documents(repository, self.layout)  # (2)
        StandingFile(self.layout.standing).keep(self.now_unix_s(), {})
        report(Phase.POLLING)
        bundles = self.make_bundles()
        needs = bundles.find_needs(repository)  # (3)
        if brings_bundles:
            tell(Planned())
        brought = bundles.bring(needs, report, tell) if brings_bundles else bundles.leave(needs)  # (4)
        return Summary(
            staged=brought.staged,
            undone=(*undone, *brought.undone),
            deferred=brought.deferred,
            timestamp=timestamp,
            due_unix_s=min([repository.expires_unix_s, *brought.due_unix_s]),
            wanted=None if needs.blobs is None else tuple(sorted(needs.blobs)),
        )

    def _read_root(self) -> bytes:
        try:
            return read_limited(self.root, max_bytes=MAX_ROOT_BYTES)
        except OSError as exc:
            raise StoreError(
                f"the trusted root {self.root} cannot be read: {exc.strerror}",
                hint="Install the publisher's 1.root.json there, or set repository.root.",
            ) from exc
