"""How much the cache of answers holds, as metrics; how often it helped is among the counts of each model. Pure."""

from edged.telemetry.exposition import Exposition


def add_cache(text: Exposition, *, entries: int, size_bytes: int) -> None:
    """Add the size of the cache."""
    text.gauge("edged_cache_entries", "Answers that are kept to be given again.", [({}, entries)])
    text.gauge("edged_cache_bytes", "Bytes of those answers.", [({}, size_bytes)])
