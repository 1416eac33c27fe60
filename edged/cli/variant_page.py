"""How the variants of a model do on this device, for people. Pure."""

from collections.abc import Iterator
from typing import Final

from edged.api.documents.status import ModelStatus, VariantStatus
from edged.cli.table import printable
from edged.quantities import bytes_text

_STATES: Final = {
    "answers": "answers",
    "loaded": "loaded, could answer at once",
    "loading": "is being loaded",
    "unloaded": "not loaded",
    "unusable": "not usable",
}


def variant_rows(model: ModelStatus) -> Iterator[tuple[str, str]]:
    """Give what there is to say about a model's variants, as rows of a heading and a text; nothing where there is only one that answers."""
    if len(model.variants) > 1 or any(variant.state != "answers" for variant in model.variants):
        for i, variant in enumerate(model.variants):
            yield "" if i else "Variants", _text(variant)


def _text(variant: VariantStatus) -> str:
    state = _STATES[variant.state]
    if variant.requests_wait:
        state += " in place of another, requests wait: memory is for one only"
    if variant.p95_ms is not None:
        state += f"; 95 % of runs within {variant.p95_ms:.3g} ms"
    if variant.memory_bytes is not None:
        state += f"; {bytes_text(variant.memory_bytes)}"
    why = f": {printable('; '.join(variant.reasons))}" if variant.reasons else ""
    return f"{printable(variant.id)} ({variant.tier}) {state}{why}"
