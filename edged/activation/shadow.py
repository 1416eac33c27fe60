"""The shadow run of a candidate: what it is held against before it may answer anybody, and when it is through or has failed. Pure.

A candidate in the shadow is asked what the active version has answered: a share of the apps' requests, after their answers. Whatever it
says is seen by nobody; it is compared. Rules, in order:

(1) crashes    more workers lost than a trial allows: failed
(2) errors     a larger share of these requests fails than a trial allows to fail beyond the version before: failed. The active version
               answered every one of them, so each failure is one more than before.
(3) answers    fewer of its answers are like those of the active version than ``min_agreement``: failed
(4) latency    the 95th percentile of the time that it runs is above its budget, and above that of the active version for the same
               requests by more than a trial allows: failed. Only runs count that had the device to themselves, because a candidate has
               to give way to everything else; and none that the active version shared among several requests.
(5) patience   passed after the time and the requests that are asked for, or at the deadline

Fewer requests than a trial judges by prove nothing, neither for (2) nor for (3) nor for (4). A device that nobody asks anything therefore
comes to the deadline, and its candidate to a trial like any other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from edged.activation.trial import TrialRules
from edged.codec import Document

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ShadowRules(Document, frozen=True, kw_only=True, omit_defaults=True):
    """Whether and for how long a candidate runs in the shadow of the active version; what else it may not do is in ``TrialRules``."""

    share: Share = 0.0
    """Of the apps' requests, how many the candidate is asked, too; 0 is no shadow run. A rollout can ask for more."""
    min_s: Annotated[float, msgspec.Meta(ge=0)] = 600.0
    """It runs in the shadow at least so long."""
    min_requests: Annotated[int, msgspec.Meta(ge=0)] = 100
    """And for so many requests, where there are any before ``max_s``."""
    max_s: Annotated[float, msgspec.Meta(gt=0)] = 86_400.0
    """After that it goes on if nothing spoke against it, however few requests there were."""
    min_agreement: Share = 0.9
    """The share of its answers that have to be like those of the active version."""


def stricter(one: ShadowRules, other: ShadowRules | None, *, share: float = 0.0) -> ShadowRules:
    """Return rules that hold only where both do.

    Args:
        one: The device's.
        other: The policy's, if it has any.
        share: What the rollout asks for.
    """
    if other is not None:
        one = ShadowRules(
            share=max(one.share, other.share),
            min_s=max(one.min_s, other.min_s),
            min_requests=max(one.min_requests, other.min_requests),
            max_s=max(one.max_s, other.max_s),
            min_agreement=max(one.min_agreement, other.min_agreement),
        )
    return replace(one, share=max(one.share, share))


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a candidate did with the requests that it was asked."""

    requests: int = 0
    """That it has dealt with, well or not."""
    failures: int = 0
    """Of those, that it or its worker failed, or that took it too long."""
    agreed: int = 0
    """Of those, that it answered as the active version did."""
    worker_losses: int = 0
    most_unlike: str = ""
    """The output that was unlike most often; empty while all are alike."""
    run_s: Sequence[tuple[float, float]] = ()
    """Of the latest runs that had the device to themselves: seconds of the active version and of the candidate."""

    @property
    def answers(self) -> int:
        """Requests that it answered."""
        return self.requests - self.failures

    @property
    def agreement(self) -> float | None:
        """The share of its answers that are like those of the active version; None while there are none."""
        return self.agreed / self.answers if self.answers else None

    @property
    def p95_ms(self) -> tuple[float, float] | None:
        """The 95th percentiles of the active version and of the candidate, milliseconds; None while nothing is known."""
        if not self.run_s:
            return None
        active, own = zip(*self.run_s, strict=True)
        return _p95(active) * 1000.0, _p95(own) * 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowVerdict:
    """What a shadow run has come to."""

    state: Literal["goes-on", "passed", "failed"]
    reason: str
    """For people: what is waited for, or what spoke for or against the candidate."""


def judge(rules: ShadowRules, limits: TrialRules, *, age_s: float, found: Findings, budget_ms: float) -> ShadowVerdict:
    """Judge a shadow run by the rules above.

    Args:
        rules: In force now.
        limits: What is allowed in a trial, now.
        age_s: Of the shadow run, the time that the daemon was off not included.
        found: So far.
        budget_ms: The candidate's budget for one run.
    """
    if reason := _complaint(rules, limits, found, budget_ms):
        return ShadowVerdict(state="failed", reason=reason)
    seen = f"{age_s:.0f} s and {found.requests} requests without a complaint"
    if age_s >= rules.max_s:  # (5)
        return ShadowVerdict(state="passed", reason=seen)
    if age_s < rules.min_s:
        return ShadowVerdict(state="goes-on", reason=f"in the shadow for {age_s:.0f} of {rules.min_s:g} s")
    if found.requests < rules.min_requests:
        return ShadowVerdict(state="goes-on", reason=f"{found.requests} of {rules.min_requests} requests seen")
    return ShadowVerdict(state="passed", reason=seen)


def _complaint(rules: ShadowRules, limits: TrialRules, found: Findings, budget_ms: float) -> str:
    """Say what speaks against a candidate; empty when nothing does."""
    if found.worker_losses > limits.max_worker_losses:  # (1)
        return f"{found.worker_losses} workers were lost in the shadow, allowed are {limits.max_worker_losses}"
    if found.requests >= limits.judged_requests and found.failures > limits.max_error_excess * found.requests:  # (2)
        share = found.failures / found.requests
        return f"{share:.1%} of {found.requests} requests failed in the shadow that the active version answered"
    return _disagreement(rules, limits, found) or _slowness(limits, found, budget_ms)


def _disagreement(rules: ShadowRules, limits: TrialRules, found: Findings) -> str:  # (3)
    agreement = found.agreement
    if agreement is None or found.answers < limits.judged_requests or agreement >= rules.min_agreement:
        return ""
    return (
        f"{agreement:.1%} of {found.answers} answers in the shadow are like those of the active version, wanted are "
        f"{rules.min_agreement:.1%}; most often unlike is output {found.most_unlike}"
    )


def _slowness(limits: TrialRules, found: Findings, budget_ms: float) -> str:  # (4)
    times_ms = found.p95_ms
    if times_ms is None or len(found.run_s) < limits.judged_requests:
        return ""
    active_ms, own_ms = times_ms
    if own_ms <= budget_ms or own_ms <= active_ms * limits.max_latency_factor:
        return ""
    return (
        f"95 % of its runs in the shadow took up to {own_ms:.3g} ms, those of the active version up to {active_ms:.3g} ms, and "
        f"the budget is {budget_ms:g} ms"
    )


def _p95(times_s: Sequence[float]) -> float:
    return sorted(times_s)[math.ceil(0.95 * len(times_s)) - 1]
