"""What Prometheus reads about variants."""

from edged.api.documents.status import VariantStatus
from edged.api.metrics.variants import ModelVariants, add_variants
from edged.telemetry.exposition import Exposition


def variant(id_: str, state: str, **fields) -> VariantStatus:
    return VariantStatus(id=id_, tier="quality", precision="fp32", state=state, **fields)


def lines_of(*variants: VariantStatus, **switches: int) -> list[str]:
    text = Exposition()
    add_variants(text, [ModelVariants(model="echo", variants=variants, switches=switches)])
    return [line for line in text.encode().decode().splitlines() if not line.startswith("#")]


def test_each_variant_is_told_with_what_is_known_of_it():
    known = variant("a", "answers", p95_ms=2.0, memory_bytes=5, joules=0.02, watts=2.5)

    lines = lines_of(known, variant("b", "unusable"), warm=3)

    assert lines == [
        'edged_variant_loaded{model="echo",variant="a"} 1',
        'edged_variant_loaded{model="echo",variant="b"} 0',
        'edged_variant_usable{model="echo",variant="a"} 1',
        'edged_variant_usable{model="echo",variant="b"} 0',
        'edged_variant_run_p95_seconds{model="echo",variant="a"} 0.002',
        'edged_variant_memory_bytes{model="echo",variant="a"} 5',
        'edged_variant_run_joules{model="echo",variant="a"} 0.02',
        'edged_variant_run_watts{model="echo",variant="a"} 2.5',
        'edged_variant_switches_total{model="echo",how="warm"} 3',
        'edged_variant_switches_total{model="echo",how="cold"} 0',
    ]


def test_variant_that_is_being_loaded_is_not_loaded_yet():
    assert 'edged_variant_loaded{model="echo",variant="a"} 0' in lines_of(variant("a", "loading"))
