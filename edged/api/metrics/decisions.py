"""What was decided about requests, as metrics. Pure."""

from collections.abc import Mapping, Sequence

from edged.api.documents.decisions import DecisionStatus
from edged.runtime.calls import RequestClass
from edged.select.decision import Action
from edged.telemetry.exposition import Exposition

Counts = Mapping[tuple[str, RequestClass, Action], int]
"""Requests, by model and by what was decided about them."""


def add_decisions(text: Exposition, decisions: Sequence[DecisionStatus], counts: Counts) -> None:
    """Add decisions.

    Args:
        text: Where to.
        decisions: That are in force.
        counts: How many requests were decided how.
    """
    text.counter(
        "edged_decisions_total",
        "Requests that were decided about, by what was decided: run, offload, defer or deny.",
        (
            ({"model": model, "request": request.value, "action": action.value}, count)
            for (model, request, action), count in sorted(counts.items())
        ),
    )
    # Not of those who consent to be offloaded: for most devices it would say everything twice.
    text.gauge(
        "edged_decision_info",
        "The rule that decides now, what it decides, and the variant that should answer; the value is 1.",
        (
            (
                {
                    "model": item.model,
                    "request": item.request,
                    "action": item.action,
                    "rule": item.rule,
                    "variant": item.variant or "",
                },
                1,
            )
            for item in decisions
            if not item.consent
        ),
    )
