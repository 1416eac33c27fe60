"""What became of background requests that are kept until they may run, as metrics. Pure."""

from collections.abc import Mapping

from edged.api.documents.background import ENDS, BackgroundStatus
from edged.telemetry.exposition import Exposition


def add_background(text: Exposition, work: Mapping[str, BackgroundStatus]) -> None:
    """Add the background work of every model that has had any kept; nothing where none has.

    Args:
        text: Where to.
        work: By model.
    """
    if not work:
        return
    text.gauge(
        "edged_background_kept",
        "Background requests that are kept until they may run.",
        (({"model": model}, item.kept) for model, item in work.items()),
    )
    text.gauge(
        "edged_background_kept_bytes",
        "Inputs of those requests.",
        (({"model": model}, item.size_bytes) for model, item in work.items()),
    )
    text.gauge(
        "edged_background_kept_longest_seconds",
        "For how long the oldest of those requests has been kept.",
        (({"model": model}, item.longest_s) for model, item in work.items()),
    )
    text.counter(
        "edged_background_ended_total",
        "Background requests that were kept or could not be, by what became of them.",
        (({"model": model, "result": end}, item.ended.get(end, 0)) for model, item in work.items() for end in ENDS),
    )
