"""``/metrics``: what edged counted, for Prometheus and whatever else reads its text format.

Labels are few and of edged's own making: models, versions, codes, reasons. Nothing tells one caller from another, so every app may read it.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from aiohttp import web

from edged import __version__
from edged.api.metrics.shadow import add_shadows
from edged.api.ports import ModelUsage, UsageSource
from edged.ids import ModelName
from edged.telemetry.exposition import CONTENT_TYPE, Exposition, Labels
from edged.telemetry.processes import OwnUse, ProcessMemory, read_memory, read_own_use
from edged.telemetry.serving import OK
from edged.telemetry.shadow import ShadowStats


class Metrics:
    """The handler of ``/metrics``.

    Args:
        usage: What each model did and does.
        connections: Returns the number of open connections by socket (``app``, ``admin``).
        reviews: Returns for each model whether it needs review, those of which nothing answers included.
        shadows: Returns what was counted of each model whose candidates were in the shadow of its active version.
        started_unix_s: When the daemon started.
        more: Each adds metrics of its own, after those of models.
    """

    def __init__(
        self,
        *,
        usage: UsageSource,
        connections: Callable[[], Mapping[str, int]],
        reviews: Callable[[], Mapping[str, bool]],
        shadows: Callable[[], Mapping[ModelName, ShadowStats]],
        started_unix_s: float,
        more: Sequence[Callable[[Exposition], None]] = (),
    ) -> None:
        self._usage = usage
        self._connections = connections
        self._reviews = reviews
        self._shadows = shadows
        self._started_unix_s = started_unix_s
        self._more = more
        self._turn = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/metrics", self.metrics)]

    async def metrics(self, _request: web.Request) -> web.Response:
        """Give all metrics."""
        async with self._turn:  # However many ask, one at a time has processes looked into.
            pids = [model.worker_pid for model in self._usage.usage() if model.worker_pid is not None]
            memory, own = await asyncio.to_thread(_look, pids)
        text = Exposition()
        add_models(text, self._usage.usage(), memory)
        text.gauge(
            "edged_model_needs_review",
            "1 after a version was refused or rolled back, until a newer one is good.",
            (({"model": model}, int(needs_review)) for model, needs_review in sorted(self._reviews().items())),
        )
        add_shadows(text, self._shadows())
        for add in self._more:
            add(text)
        add_daemon(text, own, connections=self._connections(), started_unix_s=self._started_unix_s)
        # As a header, because aiohttp's arguments for type and charset know no version.
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})


def _look(pids: Sequence[int]) -> tuple[dict[int, ProcessMemory], OwnUse]:
    return read_memory(pids), read_own_use()


def add_models(text: Exposition, models: Sequence[ModelUsage], memory: Mapping[int, ProcessMemory]) -> None:
    """Add the metrics of models.

    Args:
        text: Where to.
        models: Each with another name.
        memory: Of workers, by process number; what is not in it is not known.
    """
    _add_requests(text, models)
    _add_workers(text, models, memory)


def _add_requests(text: Exposition, models: Sequence[ModelUsage]) -> None:
    by_name = [({"model": str(model.view.name)}, model) for model in models]
    text.counter(
        "edged_requests_total",
        "Requests that were taken and are over, by the code they ended with; ok is an answer.",
        _by_word(by_name, "code", lambda model: {OK: 0} | model.stats.requests),
    )
    text.counter(
        "edged_rejected_requests_total",
        "Requests that were not taken, by reason.",
        _by_word(by_name, "reason", lambda model: model.stats.rejections),
    )
    text.counter(
        "edged_cache_lookups_total",
        "Requests whose answer was looked for among those that are known already, by whether it was there: hit or miss.",
        _by_word(by_name, "result", lambda model: {"hit": model.stats.hits.count, "miss": model.stats.misses}),
    )
    text.histogram(
        "edged_request_duration_seconds",
        "Time from a request's arrival to its end, whatever the end was.",
        ((labels, model.stats.request_duration_s) for labels, model in by_name),
    )
    text.histogram(
        "edged_queue_duration_seconds",
        "Time that requests waited for their run.",
        ((labels, model.stats.queue_duration_s) for labels, model in by_name),
    )
    text.histogram(
        "edged_run_duration_seconds",
        "Time of runs in the worker; requests may share one.",
        ((labels, model.stats.run_duration_s) for labels, model in by_name),
    )
    text.histogram(
        "edged_batch_rows",
        "Rows of each run, of all requests that shared it.",
        ((labels, model.stats.batch_rows) for labels, model in by_name),
    )
    text.gauge(
        "edged_requests_waiting",
        "Requests that wait for their run.",
        ((labels, model.waiting) for labels, model in by_name),
    )
    text.gauge(
        "edged_requests_running",
        "Requests that a worker runs.",
        ((labels, model.running) for labels, model in by_name),
    )


def _add_workers(text: Exposition, models: Sequence[ModelUsage], memory: Mapping[int, ProcessMemory]) -> None:
    by_name = [({"model": str(model.view.name)}, model) for model in models]
    used = [(labels, None if model.worker_pid is None else memory.get(model.worker_pid)) for labels, model in by_name]
    text.gauge(
        "edged_model_info",
        "Version and variant that answer now; the value is 1.",
        (({**labels, "version": str(m.view.version), "variant": m.view.variant}, 1) for labels, m in by_name),
    )
    text.gauge(
        "edged_model_ready",
        "1 while the model has a worker that answers.",
        ((labels, int(model.view.is_ready)) for labels, model in by_name),
    )
    text.gauge(
        "edged_model_stopped",
        "1 while the model may not answer: its publisher stopped it, or its lease has run out.",
        ((labels, int(model.is_held)) for labels, model in by_name),
    )
    text.gauge(
        "edged_model_fallback",
        "1 while something else answers in the model's place, by the rule of its manifest.",
        (({**labels, "use": m.view.fallback}, 1) for labels, m in by_name if m.view.fallback is not None),
    )
    text.counter(
        "edged_fallback_requests_total",
        "Requests that something else took in the model's place and that are over, by the code they ended with.",
        _by_word(by_name, "code", lambda model: model.fallback_stats.requests),
    )
    text.counter(
        "edged_worker_restarts_total",
        "Workers that were lost and replaced.",
        ((labels, model.stats.restarts) for labels, model in by_name),
    )
    text.gauge(
        "edged_worker_resident_memory_bytes",
        "Memory of the worker, with all that it shares.",
        ((labels, None if use is None else use.resident_bytes) for labels, use in used),
    )
    text.gauge(
        "edged_worker_proportional_memory_bytes",
        "Memory of the worker, with its part of what it shares.",
        ((labels, None if use is None else use.proportional_bytes) for labels, use in used),
    )
    text.gauge(
        "edged_shared_memory_bytes",
        "Memory in which tensors pass between the daemon and the worker, in use or kept for the next request.",
        ((labels, model.shared_memory_bytes) for labels, model in by_name),
    )


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


def _by_word(
    models: Sequence[tuple[Labels, ModelUsage]], label: str, counts: Callable[[ModelUsage], Mapping[str, int]]
) -> Iterator[tuple[Labels, int]]:
    for labels, model in models:
        for word, count in sorted(counts(model).items()):
            yield {**labels, label: word}, count
