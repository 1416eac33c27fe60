"""How much is known already, as metrics."""

from edged.api.metrics.cache import CacheSizes, add_cache
from edged.telemetry.exposition import Exposition


def test_what_is_kept_is_told_by_its_kind():
    text = Exposition()
    add_cache(text, CacheSizes(results=3, results_bytes=3072, features=2, features_bytes=9000))

    lines = text.encode().decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'edged_cache_entries{kind="result"} 3',
        'edged_cache_entries{kind="features"} 2',
        'edged_cache_bytes{kind="result"} 3072',
        'edged_cache_bytes{kind="features"} 9000',
    ]
