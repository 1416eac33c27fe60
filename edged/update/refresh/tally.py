"""How far one bundle is, as it is shown: bytes of its files, where they come from, how fast, and how long still."""

from edged.update.protocol.phases import Phase, Progress, Report
from edged.update.refresh.plan import Wanted
from edged.update.traffic.traffic import Traffic


class Tally:
    """Counts one bundle.

    Args:
        wanted: The bundle.
        traffic: How fast bytes come.
        report: Told each change.
        number: Of this bundle among those that are brought, counted from 1.
        count: How many those are.
    """

    def __init__(self, wanted: Wanted, traffic: Traffic, report: Report, *, number: int, count: int) -> None:
        self._wanted = wanted
        self._traffic = traffic
        self._report = report
        self._number = number
        self._count = count
        self._source = ""
        self._received = 0
        self._total = sum(file.size for file in wanted.files)

    def begin(self, source: str) -> None:
        """Take note of where the next bytes come from; an empty word says that none are on their way."""
        self._source = source

    def add(self, size: int) -> None:
        """Take note of bytes that are here and right."""
        self._received += size
        self._traffic.new_bytes += size if self._source else 0
        rate = self._traffic.bytes_per_s() if self._source else None
        self._report(
            Phase.DOWNLOADING,
            Progress(
                model=self._wanted.signed.manifest.name,
                version=self._wanted.signed.manifest.version,
                received_bytes=self._received,
                total_bytes=self._total,
                number=self._number,
                count=self._count,
                source=self._source,
                bytes_per_s=rate,
                left_s=(self._total - self._received) / rate if rate else None,
            ),
        )

    def stage(self) -> None:
        """Take note that the bundle is hashed from disk and put together."""
        self._report(Phase.STAGING)
