"""Counts of requests and runs, ``/v2/models/{model}/stats``: Triton's statistics extension.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md has the fields. Where edged counts
in another way:

- a worker tells one time for a whole run, pre- and post-processing included: it is ``compute_infer``, and ``compute_input`` and
  ``compute_output`` take 0;
- times of running are those of runs, not of requests: what three requests share counts once (Triton counts it three times);
- counts are those of the model's name since the daemon started, whichever version answered; only the active version is listed;
- a miss of the cache takes no time of its own. ``feature_hit`` and ``feature_miss`` are edged's own: of those misses, requests for which
  it was looked for what the steps before the model make of them. Neither takes time of its own.
"""

from collections.abc import Sequence

from edged.api.ports import ModelUsage
from edged.codec import Document
from edged.telemetry.serving import ServingStats, Tally


class DurationStatistic(Document, frozen=True, kw_only=True):
    """How often, and how long altogether."""

    count: int = 0
    ns: int = 0
    """Nanoseconds."""


class InferStatistics(Document, frozen=True, kw_only=True):
    """What became of requests, and where their time went."""

    success: DurationStatistic
    fail: DurationStatistic
    queue: DurationStatistic
    compute_input: DurationStatistic
    compute_infer: DurationStatistic
    compute_output: DurationStatistic
    cache_hit: DurationStatistic
    cache_miss: DurationStatistic
    feature_hit: DurationStatistic
    feature_miss: DurationStatistic


class BatchStatistics(Document, frozen=True, kw_only=True):
    """Runs of one size."""

    batch_size: int
    """Rows."""
    compute_input: DurationStatistic
    compute_infer: DurationStatistic
    compute_output: DurationStatistic


class ModelStatistics(Document, frozen=True, kw_only=True):
    """One model."""

    name: str
    version: str
    last_inference: int
    """Unix milliseconds of the last answer; 0 before the first."""
    inference_count: int
    """Rows that were run."""
    execution_count: int
    """Runs."""
    inference_stats: InferStatistics
    batch_stats: tuple[BatchStatistics, ...]


class StatisticsDocument(Document, frozen=True, kw_only=True):
    """The whole answer."""

    model_stats: tuple[ModelStatistics, ...]


def statistics_of(models: Sequence[ModelUsage]) -> StatisticsDocument:
    """Put what was counted into the extension's form."""
    return StatisticsDocument(
        model_stats=tuple(_model(str(model.view.name), str(model.view.version), model.stats) for model in models)
    )


def _model(name: str, version: str, stats: ServingStats) -> ModelStatistics:
    runs = Tally(stats.run_duration_s.count, stats.run_duration_s.sum)
    queue = Tally(stats.queue_duration_s.count, stats.queue_duration_s.sum)
    return ModelStatistics(
        name=name,
        version=version,
        last_inference=int(stats.last_unix_s * 1000),
        inference_count=stats.rows,
        execution_count=runs.count,
        inference_stats=InferStatistics(
            success=_duration(stats.succeeded),
            fail=_duration(stats.failed),
            queue=_duration(queue),
            compute_input=_nothing(runs),
            compute_infer=_duration(runs),
            compute_output=_nothing(runs),
            cache_hit=_duration(stats.hits),
            cache_miss=DurationStatistic(count=stats.misses),
            feature_hit=DurationStatistic(count=stats.feature_hits),
            feature_miss=DurationStatistic(count=stats.feature_misses),
        ),
        batch_stats=tuple(
            BatchStatistics(
                batch_size=rows,
                compute_input=_nothing(tally),
                compute_infer=_duration(tally),
                compute_output=_nothing(tally),
            )
            for rows, tally in sorted(stats.batches.items())
        ),
    )


def _duration(tally: Tally) -> DurationStatistic:
    return DurationStatistic(count=tally.count, ns=round(tally.total_s * 1e9))


def _nothing(runs: Tally) -> DurationStatistic:
    """A step that happened in each run and took no time of its own."""
    return DurationStatistic(count=runs.count)
