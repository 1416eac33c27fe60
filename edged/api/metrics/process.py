"""The metrics of the daemon itself. Pure."""

from collections.abc import Mapping

from edged import __version__
from edged.telemetry.exposition import Exposition
from edged.telemetry.processes import OwnUse


def add_daemon(text: Exposition, own: OwnUse, *, connections: Mapping[str, int], started_unix_s: float) -> None:
    """Add the metrics of the daemon itself; those named ``process_`` are what every Prometheus client library gives."""
    text.gauge("edged_build_info", "Version of edged; the value is 1.", [({"version": __version__}, 1)])
    text.gauge(
        "edged_connections",
        "Connections that are open, by socket.",
        (({"socket": name}, count) for name, count in connections.items()),
    )
    text.counter("process_cpu_seconds_total", "User and system time of the daemon.", [({}, own.cpu_s)])
    text.gauge("process_start_time_seconds", "When the daemon started, Unix seconds.", [({}, started_unix_s)])
    text.gauge("process_resident_memory_bytes", "Memory of the daemon.", [({}, own.resident_bytes)])
    text.gauge("process_virtual_memory_bytes", "Addresses that the daemon uses.", [({}, own.virtual_bytes)])
    text.gauge("process_open_fds", "Descriptors that the daemon has open.", [({}, own.open_descriptors)])
    text.gauge("process_max_fds", "Descriptors that it may have open.", [({}, own.max_descriptors)])
