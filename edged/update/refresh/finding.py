"""Has one refresh done, from the host or from what somebody brings, and describes what it found.

What only bundles and sticks need is not loaded before it is needed.
"""

import edged.update.refresh.no_http_client  # first, for what it keeps out

# isort: split

import logging
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import edged
from edged.clock import Clock
from edged.errors import EdgedError
from edged.store.layout import StoreLayout
from edged.update.freshness.now import Now
from edged.update.origins.fetcher import Host
from edged.update.protocol.messages import Finding, Milestone, Settled, Task, failure_of
from edged.update.protocol.phases import Report
from edged.update.refresh.device import is_stop_sensitive, this_device
from edged.update.refresh.refresh import Refresh, Summary
from edged.update.refresh.source import Source
from edged.update.refresh.undone import choose_failure
from edged.update.traffic.budget import Budget
from edged.update.traffic.ledger import LedgerFile, read_moment
from edged.update.traffic.traffic import Traffic

if TYPE_CHECKING:
    from edged.update.refresh.bundles import Bundles

LOG = logging.getLogger(__name__)


def find(
    task: Task,
    clock: Clock,
    report: Report,
    *,
    on_answer: Callable[[], None],
    tell: Callable[[Milestone], None] = lambda _: None,
) -> Finding:
    """Bring the store up to date with the repository's host, and describe how that went.

    Args:
        task: What to do.
        clock: The system's.
        report: Told each step.
        on_answer: Called whenever something came from the host.
        tell: Told how far it is.
    """
    config = task.config
    setting = Setting(task, clock)
    host = Host(
        gate=Path(config.paths.gate_socket),
        timeout_s=config.update.timeout_s,
        min_bytes_per_s=config.update.min_bytes_per_s,
        clock=clock,
        on_answer=on_answer,
        on_bytes=setting.traffic.came,
    )
    with closing(host):
        source = Source(origin=host, url=config.repository.url, is_metered=lambda: host.is_metered)
        return setting.run(source, report, tell=tell)


def find_on_stick(
    connection: socket.socket,
    task: Task,
    clock: Clock,
    report: Report,
    *,
    on_answer: Callable[[], None],
    tell: Callable[[Milestone], None] = lambda _: None,
) -> Finding:
    """Bring the store up to date with what somebody brings, and describe how that went.

    The same is checked as with a host, and the same is kept. Only the network's limits do not apply.

    Args:
        connection: To whoever opens the files; closed at the end.
        task: What to do.
        clock: The system's.
        report: Told each step.
        on_answer: Called whenever something was read.
        tell: Told how far it is.
    """
    # Rarely needed, so no other refresh loads them.
    from edged.update.download.packed import PackedBundles  # noqa: PLC0415
    from edged.update.origins.stick import URL, Stick, advise  # noqa: PLC0415

    update = msgspec.structs.replace(task.config.update, max_bytes=0, max_bytes_per_day=0)
    unlimited = msgspec.structs.replace(task, config=msgspec.structs.replace(task.config, update=update))
    setting = Setting(unlimited, clock, is_network=False)
    stick = Stick(connection, timeout_s=update.timeout_s, on_answer=on_answer, on_bytes=setting.traffic.came)
    with closing(stick), closing(PackedBundles(stick=stick)) as packs:
        source = Source(origin=stick, url=URL, name="stick", ways=[packs])
        return advise(setting.run(source, report, tell=tell))


class Setting:
    """What one refresh works with, wherever its bytes come from.

    Args:
        task: What to do.
        clock: The system's.
        is_network: Whether they come over a network.
    """

    def __init__(self, task: Task, clock: Clock, *, is_network: bool = True) -> None:
        self._config = task.config
        self._is_network = is_network
        self._brings_bundles = task.brings_bundles
        self._layout = StoreLayout(Path(task.config.paths.store))
        self._now = Now(clock=clock, package=Path(edged.__file__), layout=self._layout)
        self._checked_unix_s = dict(task.checked_unix_s)
        self._budget = Budget(
            max_bytes=task.config.update.max_bytes,
            max_bytes_per_day=task.config.update.max_bytes_per_day,
            ledger=LedgerFile(self._layout.ledger, lambda: read_moment(self._now.unix_s())),
        )
        self.traffic = Traffic(self._budget, clock)
        """Told what comes over the network."""

    def run(self, source: Source, report: Report, *, tell: Callable[[Milestone], None]) -> Finding:
        """Run the refresh.

        Args:
            source: Where from.
            report: Told each step.
            tell: Told how far it is.
        """
        refresh = Refresh(
            source=source,
            root=Path(self._config.repository.root),
            layout=self._layout,
            make_bundles=lambda: self._make_bundles(source),
            now_unix_s=self._now.unix_s,
        )
        try:
            try:
                summary = refresh.run(report, tell=tell, brings_bundles=self._brings_bundles)
            finally:
                self._budget.close()
            return self._describe(summary)
        except EdgedError as error:
            failure = failure_of(error)
        except Exception as error:
            # Whatever this is, it is recorded and tried again.
            LOG.exception("refresh failed in an unforeseen way")
            failure = failure_of(EdgedError(f"unforeseen: {error!r}"))
        return Finding(
            failure=failure,
            checked_unix_s=self._checked_unix_s,
            is_stop_sensitive=self._is_stop_sensitive(),
            has_brought=self._has_brought,
        )

    def _make_bundles(self, source: Source) -> "Bundles":
        # Half of all that a refresh loads. Stops are in the store by now, and did not have to wait for it.
        from edged.select.machine import read_machine  # noqa: PLC0415
        from edged.select.matcher import usable_variants  # noqa: PLC0415
        from edged.update.refresh.bundles import Bundles, StoreRules  # noqa: PLC0415

        machine, settings = read_machine(), self._config.update
        return Bundles(
            source=source,
            layout=self._layout,
            rules=StoreRules(
                in_use=Path(self._config.paths.in_use),
                keep_versions=settings.keep_versions,
                disk_reserve_bytes=settings.disk_reserve_bytes,
            ),
            device=lambda: this_device(self._config),
            usable=lambda manifest: usable_variants(manifest, machine),
            waits_when_metered=settings.metered == "wait",
            traffic=self.traffic,
            now_unix_s=self._now.unix_s,
            spent=self._layout.spent if self._is_network else None,
            checked_unix_s=self._checked_unix_s,
        )

    def _describe(self, summary: Summary) -> Finding:
        failure = choose_failure(summary.undone)
        # What is wrong with signed content stays wrong until something else is signed.
        is_settled = failure is None or failure.is_for_publisher
        return Finding(
            failure=failure,
            settled=Settled(timestamp=summary.timestamp, due_unix_s=summary.due_unix_s) if is_settled else None,
            checked_unix_s=self._checked_unix_s,
            staged=summary.staged,
            deferred=summary.deferred,
            is_stop_sensitive=self._is_stop_sensitive(),
            wanted=summary.wanted,
            has_brought=self._has_brought,
        )

    @property
    def _has_brought(self) -> bool:
        return self.traffic.new_bytes > 0

    def _is_stop_sensitive(self) -> bool:
        return is_stop_sensitive(self._layout, lambda: this_device(self._config))
