"""The trial of an activated version: what is watched, and when it is good or has failed. Pure.

Rules, in order:

(1) crashes    more workers lost than allowed: failed
(2) errors     a larger share of the requests fails than did with the version before, by more than allowed: failed. A deadline that
               passes is an app's choice as much as the model's doing, so it counts only where there is a version before to compare with.
(3) latency    the 95th percentile of what requests take is above the variant's budget, and above that of the version before by more than
               the allowed factor: failed. A slow device is slow with every version, so one of the two alone proves nothing.
(4) patience   good once it has been watched for the time and for the requests that are asked for, or at the deadline

Latencies are counted in buckets, so a percentile is known by two bounds. A version is blamed only where it is slower whatever the truth
between them is.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from edged.codec import Document
from edged.store.kept import Record


class TrialRules(Document, frozen=True, kw_only=True, omit_defaults=True):
    """How long a version is watched, and what it may not do meanwhile."""

    min_s: Annotated[float, msgspec.Meta(ge=0)] = 300.0
    """Watched at least so long; a rollout's ``soak_s`` counts when it is longer."""
    min_requests: Annotated[int, msgspec.Meta(ge=0)] = 0
    """And for so many requests of apps, where there are any before ``max_s``."""
    max_s: Annotated[float, msgspec.Meta(gt=0)] = 86_400.0
    """After that it is good if nothing spoke against it, however few requests there were."""
    max_worker_losses: Annotated[int, msgspec.Meta(ge=0)] = 1
    max_error_excess: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.02
    """By how much the share of failed requests may be above that of the version before; 0.02 is 2 percentage points."""
    max_latency_factor: Annotated[float, msgspec.Meta(ge=1)] = 1.5
    judged_requests: Annotated[int, msgspec.Meta(ge=1)] = 20
    """Errors and latency are judged from so many requests on; fewer prove nothing."""
    max_daemon_starts: Annotated[int, msgspec.Meta(ge=1)] = 3
    """How often the daemon may have to be started again during one trial before the version is blamed for it; starts after which it
    ran for a while are forgiven (``edged.daemon.lifecycle.crash_loop``)."""


def stricter(one: TrialRules, other: TrialRules | None) -> TrialRules:
    """Return rules that hold only where both do."""
    if other is None:
        return one
    return TrialRules(
        min_s=max(one.min_s, other.min_s),
        min_requests=max(one.min_requests, other.min_requests),
        max_s=max(one.max_s, other.max_s),
        max_worker_losses=min(one.max_worker_losses, other.max_worker_losses),
        max_error_excess=min(one.max_error_excess, other.max_error_excess),
        max_latency_factor=min(one.max_latency_factor, other.max_latency_factor),
        judged_requests=min(one.judged_requests, other.judged_requests),
        max_daemon_starts=min(one.max_daemon_starts, other.max_daemon_starts),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a trial has come to."""

    state: Literal["goes-on", "good", "failed"]
    reason: str
    """For people: what is waited for, or what spoke for or against the version."""


def judge(
    rules: TrialRules, *, soak_s: float, age_s: float, new: Record, old: Record | None, budget_ms: float
) -> Verdict:
    """Judge a trial by the rules above.

    Args:
        rules: In force now.
        soak_s: What the rollout asks for.
        age_s: Since the activation, the time the device was off not included.
        new: What the version on trial did.
        old: What the version before did; None when there was none or nothing is known of it.
        budget_ms: The variant's budget for one run.
    """
    before = old if old is not None and old.requests >= rules.judged_requests else None
    if reason := _complaint(rules, new, before, budget_ms):
        return Verdict(state="failed", reason=reason)
    wanted_s = max(rules.min_s, soak_s)
    if age_s < wanted_s:  # (4)
        return Verdict(state="goes-on", reason=f"watched for {age_s:.0f} of {wanted_s:g} s")
    if new.requests < rules.min_requests and age_s < rules.max_s:
        return Verdict(state="goes-on", reason=f"{new.requests} of {rules.min_requests} requests seen")
    return Verdict(state="good", reason=f"{age_s:.0f} s and {new.requests} requests without a complaint")


def _complaint(rules: TrialRules, new: Record, before: Record | None, budget_ms: float) -> str:
    """Say what speaks against a version; empty when nothing does."""
    if new.worker_losses > rules.max_worker_losses:  # (1)
        return f"{new.worker_losses} workers were lost, allowed are {rules.max_worker_losses}"
    if new.requests < rules.judged_requests:
        return ""
    return _failing(rules, new, before) or _slowness(rules, new, before, budget_ms)


def _failing(rules: TrialRules, new: Record, before: Record | None) -> str:  # (2)
    if before is None:
        share, share_before, compared = new.failures / new.requests, 0.0, "and there is no version to compare with"
    else:
        share, share_before = _share(new), _share(before)
        compared = f"{share_before:.1%} with the version before"
    if share - share_before <= rules.max_error_excess:
        return ""
    return f"{share:.1%} of {new.requests} requests failed, {compared}"


def _share(record: Record) -> float:
    return (record.failures + record.late) / record.requests


def _slowness(rules: TrialRules, new: Record, before: Record | None, budget_ms: float) -> str:  # (3)
    # With nothing to compare with, a queue that is always full would be the version's fault.
    if before is None or before.p95_ms is None or new.p95_ms is None:
        return ""
    at_least_ms, at_most_before_ms = new.p95_ms[0], before.p95_ms[1]
    if at_least_ms < budget_ms or at_least_ms < at_most_before_ms * rules.max_latency_factor:
        return ""
    return (
        f"5 % of the requests took more than {at_least_ms:g} ms, 95 % took up to {at_most_before_ms:g} ms with the version "
        f"before, and the budget is {budget_ms:g} ms"
    )
