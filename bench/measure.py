"""What is measured of a server, and how: latencies turn by turn, so that a machine's bad minute hits all of them."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.load import Connect, measure_throughput
from bench.processes import cpu_seconds

Ask = Callable[[], float]
"""Ask once; returns the seconds it took."""

WARM_UP: int = 30


@dataclass(slots=True, kw_only=True)
class Row:
    """One way to one model. None stands for what was not measured."""

    model: str
    way: str
    p50_us: float = 0.0
    p99_us: float = 0.0
    added_us: float | None = None
    """Over the model in one's own process, p50 against p50."""
    per_s: dict[int, float] = field(default_factory=dict)
    """Requests a second, by number of clients."""
    cpu_ms_per_request: float | None = None
    """Processor time of the whole server for one request, with eight clients."""


def measure_latencies(ways: Mapping[str, Ask], *, requests: int, rounds: int) -> dict[str, list[float]]:
    """Ask every way in turn, ``rounds`` times, and return all latencies in seconds."""
    latencies: dict[str, list[float]] = {name: [] for name in ways}
    for ask in ways.values():
        for _ in range(WARM_UP):
            ask()
    for _ in range(rounds):
        for name, ask in ways.items():
            latencies[name] += [ask() for _ in range(max(1, requests // rounds))]
    return latencies


def p50_us(latencies_s: Sequence[float]) -> float:
    """Return the median in microseconds."""
    return statistics.median(latencies_s) * 1e6


def p99_us(latencies_s: Sequence[float]) -> float:
    """Return the 99th percentile in microseconds."""
    return sorted(latencies_s)[int(len(latencies_s) * 0.99)] * 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server under load."""

    connect: Connect
    request: bytes
    pid: int


def measure_throughputs(
    targets: Mapping[str, Target], *, clients: int, seconds: float, rounds: int
) -> dict[str, tuple[float, float]]:
    """Load every server in turn, ``rounds`` times; returns the median of requests a second, and processor milliseconds a request."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in targets}
    for _ in range(rounds):
        for name, target in targets.items():
            before_s = cpu_seconds(target.pid)
            result = measure_throughput(target.connect, target.request, clients=clients, seconds=seconds)
            used_s = cpu_seconds(target.pid) - before_s
            found[name].append((result.per_s, used_s / max(result.requests, 1) * 1000))
    return {
        name: (statistics.median(rate for rate, _ in values), statistics.median(cost for _, cost in values))
        for name, values in found.items()
    }
