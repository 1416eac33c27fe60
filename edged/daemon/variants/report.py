"""What the status document and the metrics say about the variants of a model."""

from collections.abc import Sequence

from edged.api.documents.status import VariantState, VariantStatus
from edged.api.metrics.variants import ModelVariants, add_variants
from edged.daemon.serving.serving import Serving
from edged.daemon.variants.line import Line
from edged.daemon.variants.variants import Variants
from edged.ids import ModelName
from edged.telemetry.exposition import Exposition


class VariantReport:
    """Describes variants.

    Args:
        variants: What is known about them.
        serving: Which are loaded.
    """

    def __init__(self, variants: Variants, serving: Serving) -> None:
        self._variants = variants
        self._serving = serving

    def of(self, model: ModelName) -> Sequence[VariantStatus]:
        """Return the variants of a model's active version, best for this machine first; empty while no version answers."""
        line = self._variants.line(model)
        if line is None:
            return ()
        unusable, measured = self._variants.unusable(model), self._variants.measured(model)
        found = []
        for variant in line.known:
            figures = measured.get(variant.id)
            latency_s = None if figures is None else figures.latency_s
            found.append(
                VariantStatus(
                    id=variant.id,
                    tier=variant.tier,
                    precision=variant.precision,
                    state=self._state(model, line, variant.id, is_usable=variant.id not in unusable),
                    reasons=unusable.get(variant.id, ()),
                    requests_wait=line.is_cold and line.loading == variant.id,
                    p95_ms=None if latency_s is None else latency_s * 1000.0,
                    memory_bytes=None if figures is None else figures.memory_bytes,
                    joules=None if figures is None else figures.joules,
                    watts=None if figures is None else figures.watts,
                    stated_watts=variant.budget.power_watts,
                )
            )
        return found

    def add_metrics(self, text: Exposition) -> None:
        """Add what there is to say about all variants to the metrics."""
        models = [
            ModelVariants(model=model, variants=self.of(model), switches=self._variants.switches(model))
            for model in sorted(self._serving.served)
        ]
        add_variants(text, models)

    def _state(self, model: ModelName, line: Line, id_: str, *, is_usable: bool) -> VariantState:
        if line.loading == id_:
            return "loading"
        if not is_usable:
            return "unusable"
        loaded = [served.loadable.variant.id for served in self._serving.variants(model)]
        if id_ not in loaded:
            return "unloaded"
        return "answers" if id_ == loaded[0] else "loaded"
