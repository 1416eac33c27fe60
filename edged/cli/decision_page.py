"""What policy decides about a model's requests, and what waits for it to decide otherwise, for people. Pure."""

from collections.abc import Iterator

from edged.api.documents.background import BackgroundStatus
from edged.api.documents.decisions import DecisionStatus
from edged.cli.table import printable
from edged.cli.words import duration


def decision_rows(decision: DecisionStatus | None) -> Iterator[tuple[str, str]]:
    """Give what was decided and why, as rows of a heading and a text; nothing where the built-in rule is all that there is to say."""
    if decision is None or (decision.origin == "built-in" and len(decision.reasons) <= 1):
        return
    parts = [decision.action if decision.variant is None else f"{decision.action} {decision.variant}"]
    if decision.scale != 1.0:
        parts.append(f"scale {decision.scale:g}")
    if decision.retry_after_s is not None:
        parts.append(f"again after {decision.retry_after_s:g} s")
    yield "Decision", printable(f"{', '.join(parts)}: {'; '.join(decision.reasons)}")


def background_rows(background: BackgroundStatus | None) -> Iterator[tuple[str, str]]:
    """Give what is kept, likewise; nothing where nothing is."""
    if background is None or not (background.kept or background.under_way):
        return
    parts = []
    if background.kept:
        parts.append(f"{background.kept} kept, the longest for {duration(background.longest_s)} so far")
    if background.under_way:
        parts.append(f"{background.under_way} under way")
    yield "Background", ", ".join(parts)
