"""Which variants a rule lets answer, in which order, and why not the others. Pure.

In this order:

1. What cannot run here is out, whatever the rule says.
2. What the rule does not name is out; what it names comes in the order of its selectors, and within one in the order of the machine.
3. A variant that takes longer than its manifest promises is passed over for callers who wait, while another is left. The built-in rule
   does not ask: without a policy, a device runs what it ran before there were policies.
4. So is one that takes longer, or draws more power, than the rule allows. What was measured here counts; until then what the manifest
   states. Nothing stated is not taken for little.

When all are over a limit, none is passed over: whichever comes nearest to it goes first.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from edged.bundle.manifest import Variant
from edged.policy.document import Then
from edged.select.decision import Circumstances
from edged.select.matcher import Rejected
from edged.select.selectors import is_meant

NOT_NAMED: Final = "the rule does not name it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What may answer by a rule."""

    allowed: tuple[Variant, ...]
    """Best first."""
    rejected: tuple[Rejected, ...]
    """All others, with every reason that was found."""
    notes: tuple[str, ...]
    """What was not as the rule asked for, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """Something that a variant should not need more than ``most`` of."""

    most: float
    cost: Callable[[Variant], float | None]
    excess: Callable[[float | None], str]
    """Why a cost is too much, for people."""
    words: str


def choose_candidates(
    then: Then, variants: Sequence[Variant], circumstances: Circumstances, *, keeps_promises: bool
) -> Candidates:
    """Sort out which variants may answer.

    Args:
        then: What the rule asks for.
        variants: All there are, best for this machine first.
        circumstances: Of the decision.
        keeps_promises: The latency in a variant's manifest is a limit, too.
    """
    reasons = {variant.id: list(circumstances.unusable.get(variant.id, ())) for variant in variants}
    left = _named(then.variants, variants, reasons)
    left = [variant for variant in left if not reasons[variant.id]]
    notes: list[str] = []
    for limit in _limits(then, circumstances, keeps_promises=keeps_promises):
        left = _keep_within(limit, left, reasons, notes)
    return Candidates(
        allowed=tuple(left),
        rejected=tuple([Rejected(variant=name, reasons=tuple(why)) for name, why in reasons.items() if why]),
        notes=tuple(notes),
    )


def _named(selectors: Sequence[str], variants: Sequence[Variant], reasons: dict[str, list[str]]) -> Sequence[Variant]:
    if not selectors:
        return variants
    ranks = {
        variant.id: next((rank for rank, selector in enumerate(selectors) if is_meant(variant, selector)), None)
        for variant in variants
    }
    for name, rank in ranks.items():
        if rank is None:
            reasons[name].append(NOT_NAMED)
    return sorted(variants, key=lambda variant: ranks[variant.id] or 0)


def _limits(then: Then, circumstances: Circumstances, *, keeps_promises: bool) -> list[_Limit]:
    limits: list[_Limit] = []
    if keeps_promises:
        limits.append(
            _Limit(
                most=1.0,
                cost=lambda variant: _share_of_promise(variant, circumstances),
                excess=lambda cost: f"takes {cost:.1f} times as long here as its manifest promises",
                words="what its manifest promises",
            )
        )
    if then.max_latency_ms is not None:
        most_ms = then.max_latency_ms
        limits.append(
            _Limit(
                most=most_ms,
                cost=lambda variant: _latency_ms(variant, circumstances),
                excess=lambda cost: f"takes {cost:g} ms, the rule allows {most_ms:g} ms",
                words=f"{most_ms:g} ms",
            )
        )
    if then.max_watts is not None:
        most_watts = then.max_watts
        limits.append(
            _Limit(
                most=most_watts,
                cost=lambda variant: variant.budget.power_watts,
                excess=lambda cost: (
                    "its manifest does not say what power it draws"
                    if cost is None
                    else f"draws {cost:g} W, the rule allows {most_watts:g} W"
                ),
                words=f"{most_watts:g} W",
            )
        )
    return limits


def _keep_within(limit: _Limit, left: list[Variant], reasons: dict[str, list[str]], notes: list[str]) -> list[Variant]:
    costs = {variant.id: limit.cost(variant) for variant in left}
    within = [variant for variant in left if _known(costs[variant.id]) <= limit.most]
    if not within:
        if left:
            notes.append(f"no variant keeps within {limit.words}, so the one that comes nearest goes first")
        return sorted(left, key=lambda variant: _known(costs[variant.id]))
    for variant in left:
        if variant not in within:
            reasons[variant.id].append(limit.excess(costs[variant.id]))
    return within


def _known(cost: float | None) -> float:
    return math.inf if cost is None else cost


def _latency_ms(variant: Variant, circumstances: Circumstances) -> float:
    measured = circumstances.measured.get(variant.id)
    if measured is None or measured.latency_s is None:
        return variant.budget.latency_ms
    return measured.latency_s * 1000


def _share_of_promise(variant: Variant, circumstances: Circumstances) -> float:
    return _latency_ms(variant, circumstances) / variant.budget.latency_ms
