"""The metrics of models: their requests, their runs and their workers. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from edged.api.ports import ModelUsage
from edged.telemetry.exposition import Exposition, Labels
from edged.telemetry.processes import ProcessMemory
from edged.telemetry.serving import OK


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
    text.counter(
        "edged_cache_feature_lookups_total",
        "Of those with a miss, requests for which it was looked for what the steps before the model make of them: hit or miss.",
        _by_word(
            by_name, "result", lambda model: {"hit": model.stats.feature_hits, "miss": model.stats.feature_misses}
        ),
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


def _by_word(
    models: Sequence[tuple[Labels, ModelUsage]], label: str, counts: Callable[[ModelUsage], Mapping[str, int]]
) -> Iterator[tuple[Labels, int]]:
    for labels, model in models:
        for word, count in sorted(counts(model).items()):
            yield {**labels, label: word}, count
