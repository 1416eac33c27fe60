"""How the delivery of each model stands on this device, for people: what should run, what waits, what is tried, what is stopped. Pure."""

from collections.abc import Iterator
from typing import Final

from edged.api.documents.status import CandidateStatus, ModelStatus, ShadowStatus, StopStatus
from edged.cli.table import align, printable
from edged.cli.words import ago, duration

_INDENT: Final = "  "
_STOPPERS: Final = {"stop": "by its publisher", "lease": "because nothing fresh of its publisher came in time"}


def delivery_rows(model: ModelStatus, now_s: float) -> Iterator[tuple[str, str]]:
    """Give what there is to say about a model's delivery, as rows of a heading and a text.

    Args:
        model: The model.
        now_s: Unix seconds, on the clock the document's times are from.
    """
    if model.stop is not None:
        yield "Stopped", _stop(model.stop)
    if model.fallback is not None:
        yield "Fallback", printable(model.fallback)
    if model.trial is not None:
        yield "Trial", f"began {ago(model.trial.began_at, now_s)}: {printable(model.trial.reason)}"
    if model.candidate is not None:
        yield from _candidate(model.candidate, now_s)
    if model.rollout is not None:
        wanted = "nothing" if model.rollout.version is None else printable(model.rollout.version)
        heading = "Local" if model.rollout.rule == "local" else "Rollout"
        yield heading, f"{wanted} should run here: {printable(model.rollout.reason)}"
        if model.rollout.floor is not None:
            yield "Floor", f"{printable(model.rollout.floor)}; nothing lower is activated"


def render_delivery(model: ModelStatus, *, now_s: float) -> str:
    """Lay out a model for somebody who looks after updates."""
    active = next((slot for slot in model.slots if slot.slot == model.active), None)
    running = "nothing active" if active is None else f"{active.version} active, {active.state}"
    review = ", needs review" if model.needs_review else ""
    refused = [
        ("Refused", f"{refusal.version} {ago(refusal.at, now_s)}: {printable(refusal.reason)}")
        for refusal in model.refused
    ]
    return f"Model {model.name}: {running}{review}\n" + align([*delivery_rows(model, now_s), *refused], indent=_INDENT)


def _candidate(candidate: CandidateStatus, now_s: float) -> Iterator[tuple[str, str]]:
    begun = f"{candidate.version}, since {ago(candidate.since, now_s)}"
    does = "is being validated" if candidate.shadow is None else "is in the shadow of the active version"
    yield "Candidate", begun if candidate.waiting_for else f"{begun}, {does}"
    if candidate.shadow is not None:
        yield "Shadow", _shadow(candidate.shadow)
    for i, reason in enumerate(candidate.waiting_for):
        yield "" if i else "Waits for", printable(reason)


def _shadow(shadow: ShadowStatus) -> str:
    agree = "" if shadow.agreement is None else f", {shadow.agreement:.1%} of its answers agree"
    times = (
        ""
        if shadow.p95_ms is None or shadow.active_p95_ms is None
        else f", 95 % within {shadow.p95_ms:.3g} ms (active version {shadow.active_p95_ms:.3g} ms)"
    )
    return (
        f"{shadow.requests} requests ({shadow.share:.4g} of all), {shadow.failures} failed, {shadow.shed} shed, "
        f"{shadow.worker_losses} workers lost{agree}{times}; {printable(shadow.reason)}; at most {duration(shadow.left_s)} left"
    )


def _stop(stop: StopStatus) -> str:
    return f"{_STOPPERS[stop.source]} since {printable(stop.since)}: {printable(stop.reason)}"
