"""What is told of background requests that are kept until they may run: in the status document and in metrics. Pure."""

from collections.abc import Mapping
from typing import Final, Literal

from edged.codec import Document
from edged.telemetry.exposition import Exposition

End = Literal["finished", "deadline", "abandoned", "refused"]
"""What became of a request: what the model said, its deadline came while it was kept, its caller left, or there was no room for it."""
ENDS: Final[tuple[End, ...]] = ("finished", "deadline", "abandoned", "refused")


class BackgroundStatus(Document, frozen=True, kw_only=True):
    """The background requests of one model that are kept, and what became of those that were since the daemon started."""

    kept: int
    under_way: int
    """Kept before, and now in the model's queue or in its worker."""
    size_bytes: int
    """Inputs of those that are kept."""
    longest_s: float
    """For how long the oldest has been kept; 0 without any."""
    ended: dict[End, int]


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
