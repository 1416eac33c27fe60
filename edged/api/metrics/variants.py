"""The metrics of the variants of active versions. The labels are those of manifests, of one version of a model at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edged.api.documents.status import VariantStatus
from edged.telemetry.exposition import Exposition, Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVariants:
    """The variants of one model."""

    model: str
    variants: Sequence[VariantStatus]
    switches: Mapping[str, int]
    """Since the daemon started, by how: ``warm`` or ``cold``."""


def add_variants(text: Exposition, models: Sequence[ModelVariants]) -> None:
    """Add them."""
    each = list(_each(models))
    text.gauge(
        "edged_variant_loaded",
        "1 while the variant has a worker or is about to get one back.",
        ((labels, int(variant.state in {"answers", "loaded"})) for labels, variant in each),
    )
    text.gauge(
        "edged_variant_usable",
        "0 while the variant cannot run on this device; the status document says why.",
        ((labels, int(variant.state != "unusable")) for labels, variant in each),
    )
    text.gauge(
        "edged_variant_run_p95_seconds",
        "95 of 100 of the variant's latest runs took up to so long.",
        ((labels, None if variant.p95_ms is None else variant.p95_ms / 1000.0) for labels, variant in each),
    )
    text.gauge(
        "edged_variant_memory_bytes",
        "Most memory that a worker of the variant was seen to need.",
        ((labels, variant.memory_bytes) for labels, variant in each),
    )
    text.gauge(
        "edged_variant_run_joules",
        "Energy of one run of the variant, on average over the last days.",
        ((labels, variant.joules) for labels, variant in each),
    )
    text.gauge(
        "edged_variant_run_watts",
        "What the device draws more than idle while one run of the variant is under way, on average over the last days.",
        ((labels, variant.watts) for labels, variant in each),
    )
    text.counter(
        "edged_variant_switches_total",
        "Switches from one variant to another: warm between loaded ones, cold where requests waited for the other to be loaded.",
        (({"model": m.model, "how": how}, m.switches.get(how, 0)) for m in models for how in ("warm", "cold")),
    )


def _each(models: Sequence[ModelVariants]) -> Iterator[tuple[Labels, VariantStatus]]:
    for model in models:
        for variant in model.variants:
            yield {"model": model.model, "variant": variant.id}, variant
