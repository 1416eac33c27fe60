"""What the gate says of the network (``edged.egress.link``), as readings: the daemon itself has no network to look at."""

from dataclasses import dataclass
from pathlib import Path

from edged.egress.link import LinkReport, read_link_report
from edged.errors import EdgedError
from edged.sense.context import Link
from edged.sense.reading import Reading, known, unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One look at the gate's report."""

    link: Reading[Link]
    metered: Reading[bool]
    round_trip_s: Reading[float]


def unknown_network(reason: str) -> Network:
    """Return that nothing is known of the network, and why."""
    return Network(link=unknown(reason), metered=unknown(reason), round_trip_s=unknown(reason))


def read_network(path: Path) -> Network:
    """Read what the gate wrote last.

    Args:
        path: Of its report.
    """
    try:
        report = read_link_report(path)
    except (EdgedError, OSError) as exc:
        return unknown_network(f"the gate's report cannot be read: {exc}")
    return unknown_network("the gate has not said anything since boot") if report is None else network_of(report)


def network_of(report: LinkReport) -> Network:
    """Read a report. Pure."""
    return Network(
        link=unknown(report.reason) if report.link is None else known(report.link),
        metered=unknown("[egress] metered does not say so") if report.metered is None else known(report.metered),
        round_trip_s=(
            unknown("no connection was made over this link yet")
            if report.round_trip_s is None
            else known(report.round_trip_s)
        ),
    )
