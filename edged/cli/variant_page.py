"""How the variants of a model do on this device, for people. Pure."""

from collections.abc import Iterator
from typing import Final

from edged.api.documents.status import ModelStatus, VariantStatus
from edged.cli.table import printable
from edged.cli.words import joules_text, size

_STATES: Final = {
    "answers": "answers",
    "loaded": "loaded, could answer at once",
    "loading": "is being loaded",
    "unloaded": "not loaded",
    "unusable": "not usable",
}


def variant_rows(model: ModelStatus) -> Iterator[tuple[str, str]]:
    """Give what there is to say about a model's variants, as rows of a heading and a text; nothing of one that has no other and answers.

    It has a row all the same where it draws more than its manifest states.
    """
    if len(model.variants) > 1 or any(variant.state != "answers" or _draws_more(variant) for variant in model.variants):
        for i, variant in enumerate(model.variants):
            yield "" if i else "Variants", _text(variant)


def _draws_more(variant: VariantStatus) -> bool:
    return variant.watts is not None and variant.stated_watts is not None and variant.watts > variant.stated_watts


def _text(variant: VariantStatus) -> str:
    state = _STATES[variant.state]
    if variant.requests_wait:
        state += " in place of another, requests wait: memory is for one only"
    if variant.p95_ms is not None:
        state += f"; 95 % of runs within {variant.p95_ms:.3g} ms"
    if variant.memory_bytes is not None:
        state += f"; {size(variant.memory_bytes)}"
    if variant.joules is not None and variant.watts is not None:
        state += f"; {joules_text(variant.joules)} a run, draws {variant.watts:.2f} W"
        state += f" (its manifest states {variant.stated_watts:g} W)" if variant.stated_watts is not None else ""
    why = f": {printable('; '.join(variant.reasons))}" if variant.reasons else ""
    return f"{printable(variant.id)} ({variant.tier}) {state}{why}"
