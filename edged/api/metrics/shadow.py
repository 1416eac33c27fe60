"""The metrics of shadow runs: one set for each model that has had any since the daemon started."""

from collections.abc import Mapping

from edged.ids import ModelName
from edged.telemetry.exposition import Exposition
from edged.telemetry.shadow import RESULTS, ShadowStats


def add_shadows(text: Exposition, shadows: Mapping[ModelName, ShadowStats]) -> None:
    """Add them; nothing where there is none."""
    by_name = [({"model": str(model)}, stats) for model, stats in sorted(shadows.items())]
    if not by_name:
        return
    text.gauge(
        "edged_shadow_running",
        "1 while a candidate is in the shadow of the active version.",
        ((labels, int(stats.is_running)) for labels, stats in by_name),
    )
    text.counter(
        "edged_shadow_requests_total",
        "Requests that were chosen for a candidate in the shadow, by what became of them.",
        (({**labels, "result": result}, stats.results[result]) for labels, stats in by_name for result in RESULTS),
    )
    text.histogram(
        "edged_shadow_run_duration_seconds",
        "Time of runs whose answers were compared, by whose they were: the active version's or the candidate's.",
        (
            ({**labels, "by": by}, histogram)
            for labels, stats in by_name
            for by, histogram in (("active", stats.active_run_s), ("candidate", stats.candidate_run_s))
        ),
    )
