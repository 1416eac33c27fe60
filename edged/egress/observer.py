"""Keep ``link.json`` up to date: over what the gate reaches the network, and how long that takes.

Routes are looked at every few seconds, and at once when the network gave a connection another answer than expected. That costs less than
being told by the kernel would: rtnetlink would wake the gate for every neighbour and address, and would need an address family that the
only process with a network can do without. The time that connections take is that of connections somebody wanted; none is made for it.

The file is written when the link is another one, and when the round trip has changed by a quarter, but that not more often than once in
``ROUND_TRIP_EVERY_S``. It is on a tmpfs, so nothing is fsynced.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from edged.clock import Clock
from edged.codec import encode_canonical
from edged.egress.link import LinkReport
from edged.egress.proxy import Dialler, Resolver, dial_tcp, resolve_by_system
from edged.egress.relay import Stream
from edged.egress.routes import Way
from edged.files import replace_shown

LOG = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 5.0
ROUND_TRIP_EVERY_S: Final = 10.0
SMOOTHING: Final = 1 / 8
"""Weight of a new round trip (RFC 6298, section 2)."""
_WORTH_SAYING: Final = 0.25


class LinkObserver:
    """Looks, and writes. The gate resolves names and connects through it, so that it sees what becomes of that.

    Args:
        path: The file.
        read_way: Looks at the kernel's routes; raises ``OSError`` where it cannot.
        is_metered: As configured.
        clock: Of both kinds.
        resolver: What resolves names.
        dialler: What connects.
    """

    def __init__(
        self,
        path: Path,
        read_way: Callable[[], Way],
        *,
        is_metered: bool | None,
        clock: Clock,
        resolver: Resolver = resolve_by_system,
        dialler: Dialler = dial_tcp,
    ) -> None:
        self._path = path
        self._read_way = read_way
        self._is_metered = is_metered
        self._clock = clock
        self._resolver = resolver
        self._dialler = dialler
        self._round_trip_s: float | None = None
        self._written: LinkReport | None = None
        self._written_s = 0.0
        self._is_refused = False
        self._look_now = asyncio.Event()

    async def resolve(self, name: str, port: int) -> Sequence[str]:
        """Resolve a name; an ``edged.egress.proxy.Resolver``."""
        try:
            return await self._resolver(name, port)
        except OSError:
            self._look_now.set()
            raise

    async def dial(self, address: str, port: int) -> Stream:
        """Connect to an address; an ``edged.egress.proxy.Dialler``."""
        began_s = self._clock.monotonic_s()
        try:
            stream = await self._dialler(address, port)
        except OSError:
            self._look_now.set()
            raise
        # What is on this machine is reached over no link.
        if not ip_address(address).is_loopback:
            self._saw_round_trip(self._clock.monotonic_s() - began_s)
        return stream

    def _saw_round_trip(self, took_s: float) -> None:
        before = self._round_trip_s
        self._round_trip_s = took_s if before is None else before + SMOOTHING * (took_s - before)
        if self._written is None or self._written.round_trip_s is None:
            self._look_now.set()

    async def run(self) -> None:
        """Look and write until cancelled."""
        while True:
            self._look_now.clear()
            self.look()
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._look_now.wait()
            except TimeoutError:
                continue

    def look(self) -> None:
        """Look once, and write if there is something to say."""
        try:
            way, reason = self._read_way(), ""
        except OSError as exc:
            way, reason = None, f"routes cannot be read: {exc.strerror}"
        report = self._report(way, reason)
        if self._is_worth_writing(report):
            self._write(report)

    def _report(self, way: Way | None, reason: str) -> LinkReport:
        link, interface = (None, "") if way is None else (way.link, way.interface)
        before = self._written
        is_same = before is not None and (before.link, before.interface) == (link, interface)
        if before is not None and not is_same:
            # What connections took over another link says nothing about this one.
            self._round_trip_s = None
        return LinkReport(
            link=link,
            reason=reason,
            interface=interface,
            metered=self._is_metered,
            round_trip_s=None if self._round_trip_s is None else round(self._round_trip_s, 6),
            since_unix_s=before.since_unix_s if before is not None and is_same else self._clock.unix_s(),
        )

    def _is_worth_writing(self, report: LinkReport) -> bool:
        before = self._written
        if before is None or (before.link, before.interface, before.reason) != (
            report.link,
            report.interface,
            report.reason,
        ):
            return True
        old, new = before.round_trip_s, report.round_trip_s
        if old is None or new is None:
            return old != new
        is_rested = self._clock.monotonic_s() - self._written_s >= ROUND_TRIP_EVERY_S
        return is_rested and abs(new - old) > _WORTH_SAYING * old

    def _write(self, report: LinkReport) -> None:
        try:
            replace_shown(self._path, encode_canonical(report))
        except OSError as exc:
            if not self._is_refused:
                LOG.warning("what the network is like cannot be told to anybody: %s", exc)
            self._is_refused = True
            return
        self._is_refused = False
        self._written, self._written_s = report, self._clock.monotonic_s()
