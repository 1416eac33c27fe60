"""How much is known already, as metrics; how often that helped is among the counts of each model. Pure."""

from dataclasses import dataclass

from edged.telemetry.exposition import Exposition


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSizes:
    """How much is kept."""

    results: int
    """Entries."""
    results_bytes: int
    features: int
    """Entries."""
    features_bytes: int


def add_cache(text: Exposition, sizes: CacheSizes) -> None:
    """Add the size of the cache."""
    results, features = {"kind": "result"}, {"kind": "features"}
    text.gauge(
        "edged_cache_entries",
        "Answers (result), and what steps before models have made (features), that are kept to be used again.",
        [(results, sizes.results), (features, sizes.features)],
    )
    text.gauge(
        "edged_cache_bytes",
        "Bytes of those entries, which share one bound.",
        [(results, sizes.results_bytes), (features, sizes.features_bytes)],
    )
