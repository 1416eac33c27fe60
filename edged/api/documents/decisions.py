"""What is told of decisions, ``/edged/v1/decisions`` and the events of the type ``decision``: schema version 1."""

from typing import Final, Literal

from edged.codec import Document
from edged.policy.ask import Ask
from edged.policy.ranked import Origin
from edged.select.decision import Decision

DECISIONS_PATH: Final = "/edged/v1/decisions"


class RejectedVariant(Document, frozen=True, kw_only=True):
    """A variant that may not answer, or comes later, and every reason why."""

    variant: str
    reasons: tuple[str, ...]


class DecisionStatus(Document, frozen=True, kw_only=True):
    """What becomes of requests of one kind now."""

    model: str
    request: Literal["interactive", "background"]
    consent: bool
    """The caller allows that its input leaves the device."""
    action: Literal["run", "offload", "defer", "deny"]
    rule: str
    origin: Origin
    variant: str | None = None
    """What should answer; until it is loaded, the one that answers goes on."""
    precision: str | None = None
    """Of that variant."""
    variants: tuple[str, ...] = ()
    """All that may answer, best first."""
    scale: float = 1.0
    frequency_share: float | None = None
    """Of the processors' highest frequency, where the device may be capped."""
    max_concurrent: int | None = None
    max_rate_per_s: float | None = None
    retry_after_s: float | None = None
    """When to come again, of ``defer``."""
    may_offload: bool = False
    """The cloud endpoint answers when nothing here can."""
    reasons: tuple[str, ...] = ()
    rejected: tuple[RejectedVariant, ...] = ()


class DecisionChange(Document, frozen=True, kw_only=True):
    """A decision that took the place of another one, or was the first of its kind."""

    at: float
    """Unix seconds."""
    decision: DecisionStatus


class DecisionsDocument(Document, frozen=True, kw_only=True):
    """Every kind of request that is decided about, and what has changed lately."""

    schema: Literal[1] = 1
    decisions: tuple[DecisionStatus, ...]
    """By model, what somebody waits for first."""
    recent: tuple[DecisionChange, ...]
    """Newest last; a bounded number."""


def describe_decision(ask: Ask, decision: Decision, *, precision: str | None) -> DecisionStatus:
    """Describe a decision.

    Args:
        ask: The kind of request.
        decision: What becomes of it.
        precision: Of the variant that should answer.
    """
    return DecisionStatus(
        model=ask.model,
        request=ask.request_class.value,
        consent=ask.has_consent,
        action=decision.action.value,
        rule=decision.rule,
        origin=decision.origin,
        variant=decision.variant,
        precision=precision,
        variants=decision.variants,
        scale=decision.scale,
        frequency_share=decision.frequency_share,
        max_concurrent=decision.max_concurrent,
        max_rate_per_s=decision.max_rate_per_s,
        retry_after_s=decision.retry_after_s,
        may_offload=decision.may_offload,
        reasons=decision.reasons,
        rejected=tuple(RejectedVariant(variant=item.variant, reasons=item.reasons) for item in decision.rejected),
    )


def line_of(status: DecisionStatus) -> str:
    """Write a decision as one line without times or versions, so that two devices' lines can be compared.

    ``reader interactive: run int8, scale 0.5, by hot-and-slow``
    """
    what = " ".join(part for part in (status.action, status.precision) if part)
    scale = "" if status.scale == 1.0 else f", scale {status.scale:g}"
    consent = " with consent" if status.consent else ""
    return f"{status.model} {status.request}{consent}: {what}{scale}, by {status.rule}"
